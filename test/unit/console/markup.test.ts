import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeText, markup } from '../../../services/console/text/markup.js';

/** An independent reading of escaped text: the five named or numbered entities back to characters. */
const plainText = (text: string): string =>
  text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&#96;', '`')
    .replaceAll('&amp;', '&');

describe('markup', () => {
  it('escapes text, and leaves markup inside markup as it is', () => {
    expect(markup`<b>${'<i>'}${markup`<u>${'&'}</u>`}</b>`.text).toBe('<b>&lt;i&gt;<u>&amp;</u></b>');
  });

  it('keeps a hostile value inside its attribute', () => {
    expect(markup`<p title="${'" onload="x'}"></p>`.text).toBe('<p title="&quot; onload=&quot;x"></p>');
  });

  it('joins lists and drops what is absent', () => {
    expect(markup`${['a', 1, null, undefined, false, markup`<br>`]}`.text).toBe('a1<br>');
  });

  it('lets no character through that could open a tag, an entity or a quote, and loses no printable text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
        const escaped = escapeText(text);
        expect(escaped).not.toMatch(/[<>"'`]/);
        expect(escaped.replace(/&(lt|gt|quot|amp|#39|#96);/g, '')).not.toContain('&');
        if (!/[\p{Cc}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(text))
          expect(plainText(escaped)).toBe(text);
      }),
    );
  });

  it('shows control and direction-changing characters as U+FFFD', () => {
    expect(escapeText('a\u0000b\u202ec\u2066d\ud800e\n\tf')).toBe('a\ufffdb\ufffdc\ufffdd\ufffde\n\tf');
  });
});
