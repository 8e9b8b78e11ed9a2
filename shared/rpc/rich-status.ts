/**
 * The google.rpc.Status that travels in the trailer `grpc-status-details-bin`: an ErrorInfo (reason = fault code, metadata = details)
 * and a RequestInfo. Written by hand with protobuf's wire writer because these three small messages are all we need of googleapis.
 * Prevents: a caller that has to guess a fault from the English text.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

export const RICH_STATUS_KEY = 'grpc-status-details-bin';
export const ERROR_DOMAIN = 'refusalscope';

const ERROR_INFO_URL = 'type.googleapis.com/google.rpc.ErrorInfo';
const REQUEST_INFO_URL = 'type.googleapis.com/google.rpc.RequestInfo';

export interface RichStatus {
  /** gRPC status number. */
  readonly status: number;
  readonly message: string;
  /** Fault code, as in the registry. */
  readonly reason: string;
  readonly domain: string;
  readonly requestId: string;
  readonly details: Readonly<Record<string, string>>;
}

export const encodeRichStatus = (rich: RichStatus): Uint8Array => {
  const writer = new BinaryWriter();
  writer.uint32((1 << 3) | WireType.Varint).int32(rich.status);
  writer.uint32((2 << 3) | WireType.LengthDelimited).string(rich.message);
  writeAny(writer, ERROR_INFO_URL, encodeErrorInfo(rich));
  writeAny(writer, REQUEST_INFO_URL, encodeRequestInfo(rich.requestId));
  return writer.finish();
};

const encodeErrorInfo = (rich: RichStatus): Uint8Array => {
  const writer = new BinaryWriter();
  writer.uint32((1 << 3) | WireType.LengthDelimited).string(rich.reason);
  writer.uint32((2 << 3) | WireType.LengthDelimited).string(rich.domain);
  for (const [key, value] of Object.entries(rich.details)) {
    const entry = new BinaryWriter();
    entry.uint32((1 << 3) | WireType.LengthDelimited).string(key);
    entry.uint32((2 << 3) | WireType.LengthDelimited).string(value);
    writer.uint32((3 << 3) | WireType.LengthDelimited).bytes(entry.finish());
  }
  return writer.finish();
};

const encodeRequestInfo = (requestId: string): Uint8Array =>
  new BinaryWriter()
    .uint32((1 << 3) | WireType.LengthDelimited)
    .string(requestId)
    .finish();

const writeAny = (writer: BinaryWriter, url: string, value: Uint8Array): void => {
  const any = new BinaryWriter();
  any.uint32((1 << 3) | WireType.LengthDelimited).string(url);
  any.uint32((2 << 3) | WireType.LengthDelimited).bytes(value);
  writer.uint32((3 << 3) | WireType.LengthDelimited).bytes(any.finish());
};

/** Reads what `encodeRichStatus` or any other server wrote; undefined if the bytes are not a google.rpc.Status with an ErrorInfo. */
export const decodeRichStatus = (bytes: Uint8Array): RichStatus | undefined => {
  try {
    const fields = readFields(bytes);
    const anys = (fields.bytes.get(3) ?? []).map((any) => readFields(any).bytes);
    const findValue = (url: string) => anys.find((any) => text(any.get(1)) === url)?.get(2)?.[0];
    const errorInfo = findValue(ERROR_INFO_URL);
    if (errorInfo === undefined) return undefined;
    const info = readFields(errorInfo).bytes;
    const requestInfo = findValue(REQUEST_INFO_URL);
    return {
      status: fields.numbers.get(1) ?? 0,
      message: text(fields.bytes.get(2)),
      reason: text(info.get(1)),
      domain: text(info.get(2)),
      requestId: requestInfo === undefined ? '' : text(readFields(requestInfo).bytes.get(1)),
      details: Object.fromEntries((info.get(3) ?? []).map(readMapEntry)),
    };
  } catch {
    // Another server's trailer, or a damaged one: the plain status still stands.
    return undefined;
  }
};

interface WireFields {
  readonly bytes: Map<number, Uint8Array[]>;
  readonly numbers: Map<number, number>;
}

const readFields = (message: Uint8Array): WireFields => {
  const fields: WireFields = { bytes: new Map(), numbers: new Map() };
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType === WireType.LengthDelimited) {
      fields.bytes.set(number, [...(fields.bytes.get(number) ?? []), reader.bytes()]);
    } else if (wireType === WireType.Varint) {
      fields.numbers.set(number, reader.int32());
    } else reader.skip(wireType);
  }
  return fields;
};

const readMapEntry = (entry: Uint8Array): [string, string] => {
  const { bytes } = readFields(entry);
  return [text(bytes.get(1)), text(bytes.get(2))];
};

const text = (values: Uint8Array[] | undefined): string => new TextDecoder().decode(values?.[0] ?? new Uint8Array());
