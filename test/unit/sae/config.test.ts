import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadSaeConfig } from '../../../services/sae/config.js';
import { projectRoot } from '../../../shared/project/root.js';

it('an empty environment serves the embedded SAEs on this machine alone', () => {
  expect(loadSaeConfig({ HOME: '/home/one' })).toMatchObject({
    saeDirs: [join(projectRoot, 'models/saes')],
    listen: '127.0.0.1:7002',
    cacheBytes: 512 << 20,
    choice: {},
    digestDir: '/home/one/.cache/refusalscope',
    edge: { REFUSALSCOPE_LOG_LEVEL: 'info', REFUSALSCOPE_INSECURE: false },
  });
});

it('settings are read, lists split and megabytes turned into bytes', () => {
  const config = loadSaeConfig({
    REFUSALSCOPE_SAE_DIRS: '/a, /b',
    REFUSALSCOPE_SAE_LISTEN: '0.0.0.0:9000',
    REFUSALSCOPE_SAE_CACHE_MB: '64',
    REFUSALSCOPE_SAE_WIDTH: '65536',
    REFUSALSCOPE_SAE_L0: '100',
  });
  expect(config).toMatchObject({
    saeDirs: ['/a', '/b'],
    listen: '0.0.0.0:9000',
    cacheBytes: 64 << 20,
    choice: { width: 65_536, l0: 100 },
  });
});

it('faulty settings are reported together', () => {
  const faulty = { REFUSALSCOPE_SAE_LISTEN: 'here', REFUSALSCOPE_SAE_CACHE_MB: '1' };
  expect(() => loadSaeConfig(faulty)).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(
        /2 faulty settings:[\s\S]*SAE_LISTEN: must be host:port[\s\S]*SAE_CACHE_MB: must be between 16 and/,
      ),
    }),
  );
});
