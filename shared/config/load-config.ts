/**
 * The environment, read once in a main.ts into a frozen, typed object. Every fault of it is reported together, so that a person
 * fixes a deployment in one go. The only door to zod for settings; a value is never echoed, as it may be a secret.
 */
import { z } from 'zod';
import { fault } from '../errors/fault.js';

export { z } from 'zod';

export type Environment = Readonly<Record<string, string | undefined>>;

/** `shape` maps the names of environment variables to zod schemas of their text. Empty text counts as not set. */
export const loadConfig = <Shape extends z.ZodRawShape>(
  shape: Shape,
  environment: Environment = process.env,
): Readonly<z.infer<z.ZodObject<Shape>>> => {
  const given = Object.fromEntries(
    Object.keys(shape).map((name) => [name, environment[name] === '' ? undefined : environment[name]]),
  );
  const result = z.object(shape).safeParse(given);
  if (result.success) return Object.freeze(result.data);
  const faults = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw fault('CONFIG_INVALID', `The environment has ${faults.length} faulty settings:\n  ${faults.join('\n  ')}`);
};

/** "host:port", port 0 to 65,535. */
export const addressText = () =>
  z.string().refine(
    (value) => {
      const port = /^(?:\[[^\]]+\]|[^:\s]+):(\d{1,5})$/.exec(value)?.[1];
      return port !== undefined && Number(port) <= 65_535;
    },
    { message: 'must be host:port, such as 127.0.0.1:7001' },
  );

/** A whole number within bounds, from its decimal text. */
export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= min && value <= max, { message: `must be between ${min} and ${max}` });

/** Comma-separated text, without empty parts. */
export const textList = () =>
  z.string().transform((value) =>
    value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  );
