/** Sizes and colours of the picture, for light and dark pages. */
export const WIDTH = 1280;
export const ROW_HEIGHT = 16;
export const LABEL_LEFT = 14;
export const INDENT = 11;
export const PLOT_LEFT = 420;
export const PLOT_RIGHT = 1206;
export const MARGIN = 14;

/** "inference 2" has the colour of inference. */
export const classOf = (service: string): string => service.split(' ')[0]!;

/** Services in the order in which an audit reaches them: [light, dark]. */
export const SERVICE_COLOURS = {
  cli: ['#57606a', '#9198a1'],
  coordinator: ['#0969da', '#58a6ff'],
  search: ['#8250df', '#bc8cff'],
  inference: ['#1a7f37', '#3fb950'],
  sae: ['#9a6700', '#d29922'],
  fm: ['#cf222e', '#ff7b72'],
} as const;

const colours = (which: 0 | 1): string =>
  Object.entries(SERVICE_COLOURS)
    .map(([service, pair]) => `.${service}{--c:${pair[which]}}`)
    .join('');

export const STYLE = `
svg{--paper:#fff;--ink:#1f2328;--soft:#59636e;--line:#d1d9e0;--band:#f6f8fa;--link:#bc4c00}
${colours(0)}
@media (prefers-color-scheme:dark){
svg{--paper:#0d1117;--ink:#e6edf3;--soft:#9198a1;--line:#30363d;--band:#161b22;--link:#f0883e}
${colours(1)}
}
text{font:11px ui-sans-serif,system-ui,sans-serif;fill:var(--ink)}
.title{font-size:15px;font-weight:600}
.soft{fill:var(--soft)}
.who{fill:var(--c);font-weight:600}
.bar{fill:var(--c)}
.outer{fill:var(--c);opacity:.32}
.grid{stroke:var(--line);stroke-width:1}
.paper{fill:var(--paper)}
.band{fill:var(--band)}
.link{fill:none;stroke:var(--link);stroke-width:1.4}
.mark{fill:var(--link)}
.queue{fill:none;stroke:var(--ink);stroke-width:1.2;stroke-dasharray:3 2}
`.trim();
