import { describe, expect, test, vi } from 'vitest';
import { createProject, stock } from './project.ts';

describe('weir config', () => {
  test('prints what is in force, and where each value came from', async () => {
    vi.stubEnv('STOCK_URL', 'http://127.0.0.1:7');
    const project = createProject({
      ...stock,
      'gateway.yaml': `modules: ./resolvers
upstreams:
  stock:
    endpoints: ["\${env.STOCK_URL}"]
    timeout: 2s
`,
    });
    const { status, stdout, stderr } = await project.weir('config');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^# Effective configuration of gateway\.yaml, [0-9a-f]{16}\n/);
    for (const [value, source] of [
      ['timeout: 2s', 'gateway.yaml:5'],
      ['attemptTimeout: 5s', 'default'],
      ['path: /health', 'module stock'],
    ]) {
      expect(stdout).toContain(`${value} # ${source}\n`);
    }
    expect(stdout).toMatch(/http:\/\/127\.0\.0\.1:7.*# gateway\.yaml:4 \$\{env\.STOCK_URL\}\n/);
  });

  test('shows no secret, neither from a file, nor the environment, nor written down', async () => {
    vi.stubEnv('WEIR_ADMIN_TOKEN', 'from-the-environment');
    const yaml = (token: string) => `upstreams: {}\nadmin: { token: "${token}" }\n`;
    for (const token of ['${env.WEIR_ADMIN_TOKEN}', '${file:token.txt}', 'written-down']) {
      const project = createProject({ 'gateway.yaml': yaml(token), 'token.txt': 'from-a-file\n' });
      const { status, stdout } = await project.weir('config');
      expect(status).toBe(0);
      expect(stdout).toMatch(/^ {2}token: "?\[redacted\]"? # gateway\.yaml:2/m);
      expect(stdout).not.toMatch(/from-the-environment|from-a-file|written-down/);
    }
  });
});
