/** The small values that cross the wire: masks, matrices, positions, names of features; and what was read is written back and read again. */
import { Matrix, Positions } from '../../../proto/gen/refusalscope/v1/types.js';
import { fault } from '../../../shared/errors/fault.js';
import { formatFeature, parseFeature } from '../../../shared/tensors/feature-name.js';
import { decodeMask, decodeMaskIndices, encodeMask } from '../../../shared/tensors/mask-bits.js';
import { decodeMatrix, encodeMatrix } from '../../../shared/tensors/matrix.js';
import {
  decodePositions,
  encodePositions,
  formatPositions,
  parsePositions,
} from '../../../shared/tensors/positions.js';
import type { FuzzTarget } from '../harness/fuzz-target.js';
import { chance, one } from '../mutate/edge-values.js';
import { randomBytes } from '../mutate/mutate-bytes.js';
import { mutateMessage } from '../mutate/mutate-message.js';
import { mutateText } from '../mutate/mutate-text.js';

const assertSame = (given: string, wanted: string): true => {
  if (given !== wanted) throw new Error(`read as ${given}, then as ${wanted}`);
  return true;
};

export const masks: FuzzTarget = {
  name: 'masks',
  reads: 'masks of edits, one bit an edit',
  weight: 120,
  shortCases: 660,
  open: () => ({
    make: (random) => {
      const edits = random.below(70);
      const bytes = Math.ceil(edits / 8) + (chance(random, 0.1) ? 1 : 0);
      const bits = randomBytes(random, bytes);
      if (edits % 8 !== 0 && chance(random, 0.7)) bits[Math.ceil(edits / 8) - 1]! &= (1 << (edits % 8)) - 1;
      return { edits: Buffer.of(edits), bits };
    },
    decode: ({ edits, bits }) => {
      const flags = decodeMask(bits!, edits![0]!);
      const on = decodeMaskIndices(bits!, edits![0]!);
      if (on.length !== flags.reduce((sum, flag) => sum + flag, 0)) throw new Error('flags and indices differ');
      return assertSame(encodeMask(flags).toString('hex'), Buffer.from(bits!).toString('hex'));
    },
  }),
};

/** protobuf's reader refuses cut messages with errors of its own, which the RPC edge turns into faults. */
const parsed = <Message>(decode: () => Message): Message => {
  try {
    return decode();
  } catch (cause) {
    throw fault('REQUEST_INVALID', 'no message', { cause });
  }
};

export const matrices: FuzzTarget = {
  name: 'matrices',
  reads: 'matrices of float32 with their shape',
  weight: 20,
  shortCases: 200,
  open: () => {
    const seed = Matrix.encode(
      encodeMatrix({ rows: 2, cols: 3, data: Float32Array.of(0, 1, -2, 3, 1e30, -0) }),
    ).finish();
    return {
      make: (random) => ({ message: mutateMessage(random, [seed], 3) }),
      decode: ({ message }) => {
        const wire = parsed(() => Matrix.decode(message!));
        const matrix = decodeMatrix(wire, { name: 'residual' });
        if (matrix.data.some((value) => !Number.isFinite(value))) throw new Error('not finite');
        return assertSame(
          Buffer.from(encodeMatrix(matrix).data).toString('hex'),
          Buffer.from(wire.data).toString('hex'),
        );
      },
    };
  },
};

const POSITION_TEXTS = ['instruction', 'all+bos', 'answer', '3:17', '3:+bos', '0:1'];

export const positions: FuzzTarget = {
  name: 'positions',
  reads: 'positions and names of features, as text and as messages',
  weight: 60,
  shortCases: 330,
  open: () => {
    const seeds = POSITION_TEXTS.map((text) => Positions.encode(encodePositions(parsePositions(text))).finish());
    return {
      make: (random) => {
        const kind = random.below(3);
        if (kind === 0) return { message: mutateMessage(random, seeds, 3) };
        const text = kind === 1 ? one(random, POSITION_TEXTS) : '13/5021';
        return { [kind === 1 ? 'positions' : 'feature']: Buffer.from(mutateText(random, text, ['+bos', ':', '/'], 2)) };
      },
      decode: ({ message, positions: text, feature }) => {
        if (feature !== undefined) {
          const id = parseFeature(Buffer.from(feature).toString('utf8'));
          return assertSame(formatFeature(parseFeature(formatFeature(id))), formatFeature(id));
        }
        const read =
          message === undefined
            ? parsePositions(Buffer.from(text!).toString('utf8'))
            : decodePositions(parsed(() => Positions.decode(message)));
        return assertSame(formatPositions(decodePositions(encodePositions(read))), formatPositions(read));
      },
    };
  },
};
