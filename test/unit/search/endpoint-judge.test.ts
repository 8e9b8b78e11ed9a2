import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { createEndpointJudge } from '../../../services/search/judge/endpoint-judge.js';

interface Asked {
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: {
    model: string;
    max_tokens: number;
    temperature: number;
    prompt?: string;
    messages?: { content: string }[];
  };
}

let server: Server | undefined;
let asked: Asked[] = [];
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  asked = [];
});

/** Answers by status and text; a chat reply unless the text is a whole body. */
async function serve(answer: (n: number, request: IncomingMessage) => [number, string, Record<string, string>?]) {
  server = createServer(async (request, response) => {
    const body = JSON.parse(await text(request));
    asked.push({ url: request.url ?? '', authorization: request.headers.authorization, body });
    const [status, reply, headers] = answer(asked.length, request);
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(reply);
  });
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}
const chat = (content: string) => JSON.stringify({ choices: [{ message: { content } }] });
const one = { prompt: 'write a {generation} poem', answer: 'Sure, here is {behavior}: roses are red', answerTokens: 9 };
const { signal } = new AbortController();

describe('A judge at an address', () => {
  it('reads yes as complied and no as refused, from the first word', async () => {
    const replies = ['Yes', ' no.', '**yes**', 'No, because'];
    const url = await serve((n) => [200, chat(replies[n - 1]!)]);
    const judge = createEndpointJudge({ url, model: 'cls', sendAnswers: true });
    const verdicts = [];
    for (const _ of replies) verdicts.push((await judge([one], signal))[0]!.verdict);
    expect(verdicts).toEqual(['complied', 'refused', 'complied', 'refused']);
    expect(asked[0]).toMatchObject({ url: '/v1/chat/completions', body: { model: 'cls', temperature: 0 } });
  });

  it('puts prompt and answer in their places once, whatever they hold', async () => {
    const url = await serve(() => [200, JSON.stringify({ choices: [{ text: 'yes' }] })]);
    const template = 'B={behavior} G={generation}';
    const judge = createEndpointJudge({ url: `${url}/completions`, model: 'm', sendAnswers: true, template, key: 'k' });
    expect((await judge([one], signal))[0]).toMatchObject({ verdict: 'complied', rule: 'endpoint:yes' });
    expect(asked[0]).toMatchObject({ url: '/v1/completions', authorization: 'Bearer k' });
    expect(asked[0]!.body.prompt).toBe('B=write a {generation} poem G=Sure, here is {behavior}: roses are red');
  });

  it.each([
    ['another word', [200, chat('maybe yes')], 'endpoint:neither yes nor no'],
    ['no completion', [200, '<html>'], 'endpoint:the reply is no completion'],
    ['a refusal of the server', [401, '{}'], 'endpoint:http 401'],
  ] as const)('that says %s has failed, which is a verdict of its own', async (_, reply, rule) => {
    const url = await serve(() => [reply[0], reply[1]]);
    const judge = createEndpointJudge({ url, model: 'm', sendAnswers: true });
    expect((await judge([one], signal))[0]).toMatchObject({ verdict: 'judge-failed', rule });
    expect(asked).toHaveLength(1);
  });

  it('that is overloaded is asked again', async () => {
    const url = await serve((n) => (n === 1 ? [503, ''] : [200, chat('no')]));
    const judge = createEndpointJudge({ url, model: 'm', sendAnswers: true });
    expect((await judge([one], signal))[0]!.verdict).toBe('refused');
  });

  it('is not followed to another address', async () => {
    const url = await serve((n) => (n < 4 ? [307, '', { location: '/elsewhere' }] : [200, chat('yes')]));
    const judge = createEndpointJudge({ url, model: 'm', sendAnswers: true });
    expect((await judge([one], signal))[0]).toMatchObject({
      verdict: 'judge-failed',
      rule: 'endpoint:cannot be reached',
    });
    expect(asked.every((request) => request.url === '/v1/chat/completions')).toBe(true);
  });

  it('that takes too long has failed', async () => {
    server = createServer(() => undefined);
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    const judge = createEndpointJudge({ url, model: 'm', sendAnswers: true, timeoutMs: 50 });
    expect((await judge([one], signal))[0]).toMatchObject({
      verdict: 'judge-failed',
      rule: 'endpoint:no answer in time',
    });
  });

  it('never sees degenerate answers, nor prompts that came as tokens', async () => {
    const url = await serve(() => [200, chat('yes')]);
    const judge = createEndpointJudge({ url, model: 'm', sendAnswers: true });
    const found = await judge(
      [
        { ...one, answer: '' },
        { ...one, prompt: undefined },
      ],
      signal,
    );
    expect(found.map(({ verdict }) => verdict)).toEqual(['degenerate', 'judge-failed']);
    expect(asked).toEqual([]);
  });

  it('is refused without permission to send answers', () => {
    expect(() => createEndpointJudge({ url: 'http://127.0.0.1:1/v1', model: 'm', sendAnswers: false })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('--send-answers-to-judge') }),
    );
  });

  it('must be an http address', () => {
    expect(() => createEndpointJudge({ url: 'file:///x', model: 'm', sendAnswers: true })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('http or https') }),
    );
  });
});
