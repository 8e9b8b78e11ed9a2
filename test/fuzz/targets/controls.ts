/** Targets that are broken on purpose, one way each: what the fuzzer must find, so that finding nothing means something. */
import { fault } from '../../../shared/errors/fault.js';
import type { FuzzTarget, OpenTarget } from '../harness/fuzz-target.js';

const FAULTY_CASE = 40;

const control = (name: string, misbehave: () => boolean | Promise<boolean>): FuzzTarget => ({
  name: `control-${name}`,
  reads: 'nothing: a control',
  weight: 0,
  shortCases: 0,
  open: (): OpenTarget => {
    let made = 0;
    return {
      make: (random) => ({ bytes: Buffer.of(random.below(256)) }),
      decode: () => (++made % FAULTY_CASE === 0 ? misbehave() : true),
    };
  },
});

const held: Buffer[] = [];

export const CONTROLS: readonly FuzzTarget[] = [
  control('error', () => {
    throw new TypeError('an error without a code');
  }),
  control('internal', () => {
    throw fault('INTERNAL', 'a defect that calls itself one');
  }),
  control('refusal', () => {
    throw fault('REQUEST_INVALID', 'as it should be');
  }),
  control('hang', () => {
    for (;;) {
      // As a loop over a count that a file gave.
    }
  }),
  control('never-settles', () => new Promise<boolean>(() => {})),
  control('leak', () => held.push(Buffer.alloc(1 << 20, 1)) > 0),
  control('exit', () => process.exit(3)),
  control('abort', () => {
    // Of the whole process, as native code would.
    process.abort();
  }),
];
