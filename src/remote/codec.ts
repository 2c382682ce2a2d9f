// Values as bytes: MessagePack, with 64-bit integers as they are and extension types for what it has no word for.

import { DecodeError, decode as decodeValue, ExtensionCodec, encode as encodeValue } from '@msgpack/msgpack';
import { SkepError } from '../base/error.js';
import { BatchError, BpfError } from '../bpf/errno.js';
import { FrameError } from './frames.js';
import { checkShape } from './shape.js';

/** An error as it crosses. */
type WireError =
  | { kind: 'bpf'; message: string; command: string; errno: number; verifierLog?: string; count?: number }
  | { kind: 'skep'; message: string; where: string; hint: string }
  | { kind: 'other'; message: string; name: string };

const Extension = { Error: 1, Uint8Array: 2, Uint32Array: 3, Float64Array: 4, BigUint64Array: 5 } as const;

const codec = new ExtensionCodec();
const options = { extensionCodec: codec, useBigInt64: true, ignoreUndefined: true };

codec.register({
  type: Extension.Error,
  encode: (value) => (value instanceof Error ? encodeValue(wireError(value), options) : null),
  decode: readError,
});

type TypedArray = typeof Uint8Array | typeof Uint32Array | typeof Float64Array | typeof BigUint64Array;

/**
 * Elements in little-endian order, as every machine that runs this has them. They arrive in memory of their own:
 * MessagePack's own binary type would be a part of the message.
 */
function registerArray(type: number, Type: TypedArray): void {
  codec.register({
    type,
    encode: (value) =>
      value instanceof Type ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : null,
    decode: (bytes) => new Type(bytes.slice().buffer, 0, Math.floor(bytes.length / Type.BYTES_PER_ELEMENT)),
  });
}
registerArray(Extension.Uint8Array, Uint8Array);
registerArray(Extension.Uint32Array, Uint32Array);
registerArray(Extension.Float64Array, Float64Array);
registerArray(Extension.BigUint64Array, BigUint64Array);

function wireError(error: Error): WireError {
  const { message } = error;
  if (error instanceof BpfError) {
    const { command, errno, verifierLog } = error;
    const wire: WireError = { kind: 'bpf', message, command, errno };
    if (verifierLog !== undefined) wire.verifierLog = verifierLog;
    if (error instanceof BatchError) wire.count = error.count;
    return wire;
  }
  if (error instanceof SkepError) return { kind: 'skep', message, where: error.where, hint: error.hint };
  return { kind: 'other', message, name: error.name };
}

/** `values` are of these types, in this order, or the message is refused. */
function demand(types: readonly string[], values: readonly unknown[]): void {
  if (!values.every((value, i) => typeof value === types[i])) throw new FrameError('an error cannot be read');
}

function readError(bytes: Uint8Array): Error {
  checkShape(bytes);
  const wire = decodeValue(bytes, options) as WireError | null;
  demand(['string'], [wire?.message]);
  const error = makeError(wire as WireError);
  // The text is that of the other side, which knew the details.
  error.message = (wire as WireError).message;
  return error;
}

function makeError(wire: WireError): Error {
  if (wire.kind === 'bpf') {
    const { command, errno, count, verifierLog } = wire;
    demand(['string', 'number', 'string', 'number'], [command, errno, verifierLog ?? '', count ?? 0]);
    return count === undefined
      ? new BpfError(command, errno, '', verifierLog)
      : new BatchError(command, errno, count);
  }
  if (wire.kind === 'skep') {
    const { where, hint } = wire;
    demand(['string', 'string'], [where, hint]);
    return new SkepError('', { where, hint });
  }
  demand(['string'], [wire.name]);
  return Object.assign(new Error(), { name: wire.name });
}

/** Undefined members are left out; an undefined value or element becomes null. */
export const encode = (value: unknown): Uint8Array => encodeValue(value, options);

/** Throws a FrameError when it is no value. */
export function decode(bytes: Uint8Array): unknown {
  checkShape(bytes);
  try {
    return decodeValue(bytes, options);
  } catch (cause) {
    if (!(cause instanceof DecodeError) && !(cause instanceof RangeError)) throw cause;
    throw new FrameError(`a message cannot be read: ${cause.message}`, { cause });
  }
}
