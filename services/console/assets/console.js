// Follows one audit: fills the page from the event stream. Everything from an event goes in as text, never as HTML.
(() => {
  const section = document.querySelector('[data-audit-events]');
  if (!section || !('EventSource' in window)) return;
  const MAX_EVENTS = 400;
  const place = (name) => section.querySelector(`[data-live="${name}"]`);
  const count = (value) => new Intl.NumberFormat('en').format(value).replaceAll(',', '\u202f');
  const setText = (name, text) => {
    const element = place(name);
    if (element) element.textContent = text;
  };
  const sentences = {
    'stage-started': (event) => `Stage ${event.number} of ${event.stages}: ${event.stage}`,
    'stage-finished': (event) => `${event.stage} finished in ${event.seconds.toFixed(1)} s. ${event.summary}`,
    'prompt-filtered': (event) =>
      `${event.promptId}: ${event.outcome}${event.setSize > 0 ? `, ${event.setSize} in the minimal set` : ''}`,
    ended: (event) => `The audit has ended: ${event.state}. ${event.error}`,
    warning: (event) => `${event.code}: ${event.text}`,
  };
  const addEvent = (event) => {
    const line = document.createElement('li');
    const time = document.createElement('time');
    time.dateTime = event.time;
    time.textContent = event.time.slice(11, 19);
    const text = document.createElement('span');
    text.textContent = sentences[event.kind](event);
    if (event.kind === 'warning') text.className = 'is-warning';
    line.append(time, text);
    const list = place('events');
    list.prepend(line);
    while (list.childElementCount > MAX_EVENTS) list.lastElementChild.remove();
  };
  const showProgress = (event) => {
    const bar = place('progress');
    bar.hidden = false;
    if (event.total > 0) {
      bar.max = event.total;
      bar.value = event.done;
    } else bar.removeAttribute('value');
    setText('stage', event.stage);
    setText('evaluations', count(event.evaluations));
    setText('reused', count(event.evaluationsReused));
    const total = event.total > 0 ? ` of ${count(event.total)}` : '';
    setText('detail', `${event.stage}: ${count(event.done)}${total}. ${event.detail}`);
  };
  const addPrompt = (event) => {
    const row = document.createElement('tr');
    const cells = [
      event.promptId,
      event.outcome,
      event.setSize > 0 ? String(event.setSize) : '–',
      count(event.evaluations),
    ];
    cells.forEach((text, index) => {
      const cell = document.createElement(index === 0 ? 'th' : 'td');
      if (index === 0) cell.scope = 'row';
      if (index === 0) cell.className = 'id';
      if (index > 1) cell.className = 'number';
      cell.textContent = text;
      row.append(cell);
    });
    place('prompts').append(row);
  };
  const source = new EventSource(section.dataset.auditEvents);
  const on = (kind, act) =>
    source.addEventListener(kind, (message) => {
      const event = JSON.parse(message.data);
      setText('updated', `${event.time.slice(0, 10)} ${event.time.slice(11, 16)} UTC`);
      if (kind !== 'progress') addEvent(event);
      act(event);
    });
  on('progress', showProgress);
  on('stage-started', (event) => setText('stage', event.stage));
  on('stage-finished', () => {});
  on('prompt-filtered', addPrompt);
  on('warning', () => {});
  source.addEventListener('end-of-events', () => source.close());
  on('ended', (event) => {
    const badge = place('state');
    badge.textContent = event.state;
    badge.className = `badge state-${event.state}`;
    place('progress').hidden = true;
    setText('detail', '');
    if (event.state === 'succeeded') place('links').hidden = false;
  });
})();
