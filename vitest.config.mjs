import { defineConfig } from 'vitest/config';

// Tests run on the compiled output: the same files that ship, so worker threads and child processes start as they do in production.
export default defineConfig({
  test: {
    include: ['dist/test/**/*.test.js'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 240_000,
    // Browser and process tests race with a busy machine; a defect fails three times in a row.
    retry: process.env.CI ? 2 : 0,
    hookTimeout: 240_000,
  },
});
