// Comforts of the report page; everything can be read without it. No request is made, nothing is stored.
(() => {
  // One tip for all chart marks, shown at once and for the keyboard's reader left in the SVG's own names.
  const tip = document.createElement('div');
  tip.id = 'tip';
  tip.hidden = true;
  document.body.append(tip);
  const texts = new WeakMap();
  for (const title of document.querySelectorAll('svg title')) {
    texts.set(title.parentElement, title.textContent);
    title.remove();
  }
  const tipped = (node) => {
    for (let at = node; at instanceof Element; at = at.parentElement) if (texts.has(at)) return texts.get(at);
    return undefined;
  };
  const place = (event) => {
    const text = tipped(event.target);
    tip.hidden = text === undefined;
    if (text === undefined) return;
    tip.textContent = text;
    const right = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${window.scrollX + Math.max(8, Math.min(event.clientX + 14, right))}px`;
    tip.style.top = `${window.scrollY + event.clientY + 16}px`;
  };
  document.addEventListener('pointermove', place);
  document.addEventListener('pointerdown', place);

  // Tables that say so are sorted by a column: numbers by their value in data-value, text by itself.
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    return cell?.dataset.value === undefined ? (cell?.textContent ?? '') : Number(cell.dataset.value);
  };
  const compare = (a, b) =>
    typeof a === 'number' && typeof b === 'number'
      ? a - b
      : String(a).localeCompare(String(b), 'en', { numeric: true });
  for (const table of document.querySelectorAll('table[data-sortable]')) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'sort';
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener('click', () => {
        const down = head.getAttribute('aria-sort') === 'ascending';
        for (const other of heads) other.removeAttribute('aria-sort');
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => compare(keyOf(a, column), keyOf(b, column)) * (down ? -1 : 1));
        table.tBodies[0].append(...rows);
      });
    });
  }

  // A link to a prompt opens it; printing opens everything and closes it again.
  const openTarget = () => {
    const target =
      location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
    if (target instanceof HTMLDetailsElement) target.open = true;
  };
  window.addEventListener('hashchange', openTarget);
  openTarget();
  let closed = [];
  window.addEventListener('beforeprint', () => {
    closed = [...document.querySelectorAll('details:not([open])')];
    for (const details of closed) details.open = true;
  });
  window.addEventListener('afterprint', () => {
    for (const details of closed) details.open = false;
  });

  // The contents mark the section that is being read.
  const links = new Map([...document.querySelectorAll('.contents a')].map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries)
        if (isIntersecting) for (const [id, link] of links) link.toggleAttribute('aria-current', id === target.id);
    },
    { rootMargin: '0px 0px -75% 0px' },
  );
  for (const id of links.keys()) {
    const section = document.getElementById(id);
    if (section) watcher.observe(section);
  }
})();
