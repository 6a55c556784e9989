import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.spec.ts'],
    environment: 'node',
    // Real servers, signals and child processes: a process per file, and as many as the smallest machine has cores.
    pool: 'forks',
    // Node itself loads sources and specifications, as it does in production: one resolution, one copy of each package.
    experimental: { viteModuleRunner: false },
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    // On a machine that does other things too a test of real processes may miss its moment; one that is wrong fails each time.
    retry: process.env.CI === undefined ? 0 : 2,
    // A focused test in a commit is a mistake, not a plan.
    allowOnly: false,
    passWithNoTests: false,
  },
});
