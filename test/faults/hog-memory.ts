/** Loaded with `--import` before a service: on SIGUSR2 it takes memory until V8 ends the process, as a leak or a too large request would. */
process.on('SIGUSR2', () => {
  for (const kept: string[][] = []; ; ) kept.push(Array.from({ length: 100_000 }, (_, i) => `${i} ${kept.length}`));
});
