import { describe, expect, it } from 'vitest';
import { addressText, loadConfig, peerAddressText, textList, wholeNumber } from '../../../shared/config/load-config.js';
import { createLogger } from '../../../shared/log/create-logger.js';
import { decodeRichStatus, encodeRichStatus } from '../../../shared/rpc/rich-status.js';

describe('log', () => {
  const linesOf = (write: (logger: ReturnType<typeof createLogger>) => void) => {
    const lines: string[] = [];
    write(createLogger('search', 'info', { write: (line) => void lines.push(line) }));
    return lines.join('');
  };

  it('secrets and prompt text are replaced at every depth that is used', () => {
    const text = linesOf((logger) => {
      logger.info({ token: 'abc-secret' }, 'one');
      logger.info({ config: { auth: { password: 'abc-secret' } } }, 'two');
      logger.info({ request: { prompt: 'abc-secret', id: 'p1' } }, 'three');
    });
    expect(text).not.toContain('abc-secret');
    expect(text).toContain('[hidden]');
    expect(text).toContain('p1');
  });

  it('every line names its service and level', () => {
    const line = JSON.parse(linesOf((logger) => logger.child({ audit: 'a1' }).warn('slow')));
    expect(line).toMatchObject({ service: 'search', level: 40, audit: 'a1', msg: 'slow' });
  });
});

describe('config', () => {
  const shape = { LISTEN: addressText(), THREADS: wholeNumber(1, 64), DIRS: textList() };

  it('gives a frozen object of typed values', () => {
    const config = loadConfig(shape, { LISTEN: '0.0.0.0:7001', THREADS: '4', DIRS: 'a, b,' });
    expect(config).toEqual({ LISTEN: '0.0.0.0:7001', THREADS: 4, DIRS: ['a', 'b'] });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('reports all faults together and never the values', () => {
    const load = () => loadConfig(shape, { LISTEN: 'hunter2', THREADS: '999', DIRS: '' });
    expect(load).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(load).toThrow(/3 faulty settings[\s\S]*LISTEN: must be host:port[\s\S]*THREADS: must be between 1 and 64/);
    expect(load).not.toThrow(/hunter2|999/);
  });

  it.each(['localhost', ':80', 'a:99999', 'a b:80'])('%j is no address', (value) => {
    expect(() => loadConfig({ LISTEN: addressText() }, { LISTEN: value })).toThrow(/host:port/);
  });

  it('a peer may be several pods; a place to listen on may not', () => {
    const several = 'ipv4:127.0.0.1:7001,127.0.0.1:7011';
    expect(loadConfig({ PEER: peerAddressText() }, { PEER: several })).toEqual({ PEER: several });
    expect(loadConfig({ PEER: peerAddressText() }, { PEER: 'inference:7001' })).toEqual({ PEER: 'inference:7001' });
    expect(() => loadConfig({ PEER: peerAddressText() }, { PEER: 'ipv4:127.0.0.1:7001,nowhere' })).toThrow(/host:port/);
    expect(() => loadConfig({ LISTEN: addressText() }, { LISTEN: several })).toThrow(/host:port/);
  });
});

describe('rich status', () => {
  it('comes back as it was', () => {
    const rich = {
      status: 5,
      message: 'x',
      reason: 'AUDIT_UNKNOWN',
      domain: 'refusalscope',
      requestId: 'r-1',
      details: { a: '1', b: 'ü' },
    };
    expect(decodeRichStatus(encodeRichStatus(rich))).toEqual(rich);
  });

  it('has the wire form of google.rpc.Status', () => {
    const bytes = encodeRichStatus({ status: 3, message: '', reason: 'A', domain: 'b', requestId: '', details: {} });
    // Field 1, varint 3; later field 3, an Any whose type_url is googleapis' name.
    expect([...bytes.subarray(0, 2)]).toEqual([0x08, 3]);
    expect(Buffer.from(bytes).toString('latin1')).toContain('\x0a\x28type.googleapis.com/google.rpc.ErrorInfo');
  });

  it('bytes of another kind are not taken for one', () => {
    expect(decodeRichStatus(new Uint8Array([1, 2, 3]))).toBeUndefined();
    expect(decodeRichStatus(new Uint8Array())).toBeUndefined();
  });
});
