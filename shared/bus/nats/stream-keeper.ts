/**
 * Creates streams, brings those of an older release to the present settings, and makes them again when a server lost its store.
 * Prevents: settings that drift between releases, and a mesh that stands still after its server came back empty.
 */
import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager, type StreamConfig } from '@nats-io/jetstream';
import { fault } from '../../errors/fault.js';
import type { Logger } from '../../log/create-logger.js';

export type StreamSettings = Partial<StreamConfig> & { readonly name: string };

// The server refuses to change these on a stream that exists.
const FIXED = ['retention', 'storage'] as const;

// "insufficient resources" and "insufficient storage resources available".
const NO_ROOM = [10023, 10047];

export class StreamKeeper {
  private readonly kept = new Map<string, StreamSettings>();
  private restoring: Promise<void> | undefined;

  constructor(
    private readonly manager: JetStreamManager,
    private readonly replicas: number,
    private readonly logger: Logger,
  ) {}

  /** @throws CONFIG_INVALID if the stream exists with a retention or storage that cannot be changed. */
  async keep(settings: StreamSettings): Promise<void> {
    const wanted = { ...settings, num_replicas: this.replicas };
    await this.bringAbout(wanted);
    this.kept.set(settings.name, wanted);
  }

  /** Makes kept streams that are gone again; several callers share one run. */
  restore(): Promise<void> {
    this.restoring ??= this.restoreAll().finally(() => {
      this.restoring = undefined;
    });
    return this.restoring;
  }

  private async restoreAll(): Promise<void> {
    for (const settings of this.kept.values()) await this.bringAbout(settings);
  }

  private async bringAbout(wanted: StreamSettings): Promise<void> {
    const existing = await this.configOf(wanted.name);
    if (existing === undefined) {
      await this.create(wanted);
      this.logger.info({ stream: wanted.name }, 'stream created');
      return;
    }
    const changed = differences(wanted, existing);
    if (changed.length === 0) return;
    const fixed = changed.filter((name) => FIXED.some((other) => other === name));
    if (fixed.length > 0) throw cannotChange(wanted.name, fixed);
    await this.manager.streams.update(wanted.name, { ...existing, ...wanted });
    this.logger.info({ stream: wanted.name, changed }, 'stream settings migrated');
  }

  private async create(wanted: StreamSettings): Promise<void> {
    try {
      await this.manager.streams.add(wanted);
    } catch (thrown) {
      if (thrown instanceof JetStreamApiError && NO_ROOM.includes(thrown.code)) throw noRoom(wanted, thrown);
      throw thrown;
    }
  }

  private async configOf(name: string): Promise<StreamConfig | undefined> {
    try {
      return (await this.manager.streams.info(name)).config;
    } catch (thrown) {
      if (thrown instanceof JetStreamApiError && thrown.code === JetStreamApiCodes.StreamNotFound) return undefined;
      throw thrown;
    }
  }
}

const differences = (wanted: StreamSettings, existing: StreamConfig): string[] =>
  Object.entries(wanted)
    .filter(([name, value]) => JSON.stringify(Reflect.get(existing, name)) !== JSON.stringify(value))
    .map(([name]) => name);

const cannotChange = (stream: string, fixed: readonly string[]): Error =>
  fault(
    'CONFIG_INVALID',
    `The stream ${stream} exists with another ${fixed.join(' and ')}, which the server cannot change: ` +
      'stop the mesh, let the queue run empty, delete the stream and start again.',
  );

const noRoom = ({ name, max_bytes }: StreamSettings, cause: unknown): Error =>
  fault(
    'CONFIG_INVALID',
    `The NATS server has no room for the stream ${name}, which sets ${max_bytes ?? 0} bytes aside: ` +
      'raise max_file_store in its configuration, or give the account more.',
    { cause },
  );
