/** Owns the outer HTML of the console's own pages. */
import { type Markup, markup } from '../text/markup.js';

/** A whole page; `main` is its content. */
export const pageFrame = (title: string, main: Markup): string =>
  markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · RefusalScope</title>
<link rel="stylesheet" href="/console.css">
<script src="/console.js" defer></script>
</head>
<body class="console">
<header class="bar"><a class="brand" href="/">RefusalScope</a><span class="muted">read-only console</span></header>
<main>${main}</main>
</body>
</html>
`.text;
