// Netlink (RFC 3549, <linux/netlink.h>): how Linux is asked about its network devices.
//
//   message    u32 length | u16 type | u16 flags | u32 sequence | u32 port | payload
//   attribute  u16 length | u16 type | value, padded to 4 bytes
//
// A request is answered by an error message (errno 0: done), or for a dump by many messages and an end.

import { BpfError, Errno } from '../bpf/errno.js';
import type { Native } from './native.js';
import { fromCString } from './session.js';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_ROUTE = 0;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;

const HEADER = 16;
const MessageType = { Error: 2, Done: 3 } as const;

/** NLM_F_* */
export const MessageFlag = {
  Request: 0x1,
  Ack: 0x4,
  Echo: 0x8,
  Replace: 0x100,
  Dump: 0x300,
  Excl: 0x200,
  Create: 0x400,
} as const;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;

/** Seconds to wait for an answer, which the kernel gives at once. */
const PATIENCE = 10n;
/** One message of a dump is at most this long (NLMSG_GOODSIZE, with room to spare). */
const ROOM = 1 << 17;

const round4 = (size: number): number => (size + 3) & ~3;

/** An attribute to send: a number of 32 bits, a text, or attributes within it. */
export type Attribute = readonly [type: number, value: number | string | readonly Attribute[]];

/** The bytes of attributes. */
export function encodeAttributes(attributes: readonly Attribute[]): Uint8Array {
  const parts = attributes.map(([type, value]): [number, Uint8Array] => {
    if (typeof value === 'number') {
      const bytes = new Uint8Array(4);
      // Descriptors are signed; the bits are the same.
      new DataView(bytes.buffer).setUint32(0, value >>> 0, true);
      return [type, bytes];
    }
    if (typeof value === 'string') return [type, new TextEncoder().encode(`${value}\0`)];
    return [type | NESTED, encodeAttributes(value)];
  });
  const bytes = new Uint8Array(parts.reduce((size, [, part]) => size + 4 + round4(part.length), 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [type, part] of parts) {
    view.setUint16(at, 4 + part.length, true);
    view.setUint16(at + 2, type, true);
    bytes.set(part, at + 4);
    at += 4 + round4(part.length);
  }
  return bytes;
}

/** Attributes that were received, by type; of several of one type the last. What is cut off ends them. */
export class Attributes {
  readonly #values = new Map<number, Uint8Array>();

  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 4 <= bytes.length; ) {
      const length = view.getUint16(at, true);
      if (length < 4 || at + length > bytes.length) return;
      this.#values.set(view.getUint16(at + 2, true) & TYPE_MASK, bytes.subarray(at + 4, at + length));
      at += round4(length);
    }
  }

  /** A number of 8 or 32 bits; undefined when it is not there. */
  number(type: number): number | undefined {
    const value = this.#values.get(type);
    if (value === undefined) return undefined;
    if (value.length < 4) return value[0];
    return new DataView(value.buffer, value.byteOffset).getUint32(0, true);
  }

  text(type: number): string | undefined {
    const value = this.#values.get(type);
    return value === undefined ? undefined : fromCString(value);
  }

  nested(type: number): Attributes | undefined {
    const value = this.#values.get(type);
    return value === undefined ? undefined : new Attributes(value);
  }
}

export interface Message {
  readonly type: number;
  readonly payload: Uint8Array;
}

/** Runs one request over a socket of its own and gives the messages that come back; a BpfError named `command` otherwise. */
export function request(
  native: Native,
  command: string,
  message: { type: number; flags: number; payload: Uint8Array },
): Message[] {
  const socket = native.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_ROUTE);
  if (socket < 0) throw new BpfError(command, -socket, 'no netlink socket');
  try {
    // Older kernels know neither of the two, and do without.
    for (const option of [NETLINK_EXT_ACK, NETLINK_CAP_ACK]) {
      native.setsockopt(socket, SOL_NETLINK, option, Uint8Array.of(1, 0, 0, 0));
    }
    native.setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, new Uint8Array(BigInt64Array.of(PATIENCE, 0n).buffer));
    const sent = native.send(socket, frame(message));
    if (sent < 0) throw new BpfError(command, -sent);
    return receive(native, command, socket);
  } finally {
    native.close(socket);
  }
}

function frame({ type, flags, payload }: { type: number; flags: number; payload: Uint8Array }): Uint8Array {
  const bytes = new Uint8Array(HEADER + round4(payload.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, HEADER + payload.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags | MessageFlag.Request, true);
  view.setUint32(8, 1, true);
  bytes.set(payload, HEADER);
  return bytes;
}

/** Reads until the end of a dump or the acknowledgement, which every request here asks for. */
function receive(native: Native, command: string, socket: number): Message[] {
  const messages: Message[] = [];
  const buffer = new Uint8Array(ROOM);
  for (;;) {
    const size = native.recv(socket, buffer);
    if (size === -Errno.EINTR) continue;
    if (size < 0) throw new BpfError(command, -size, 'no answer by netlink');
    const bytes = buffer.slice(0, size);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at + HEADER <= size; ) {
      const length = view.getUint32(at, true);
      if (length < HEADER || at + length > size) {
        throw new BpfError(command, Errno.EPROTO, 'a netlink message is cut off');
      }
      const type = view.getUint16(at + 4, true);
      const payload = bytes.subarray(at + HEADER, at + length);
      if (type === MessageType.Done) return messages;
      if (type === MessageType.Error) {
        const errno = -view.getInt32(at + HEADER, true);
        if (errno === 0) return messages;
        throw new BpfError(command, errno, reason(payload, view.getUint16(at + 6, true)));
      }
      messages.push({ type, payload });
      at += round4(length);
    }
  }
}

/** The kernel's own words for an error, behind the errno and the header of the request (struct nlmsgerr). */
function reason(payload: Uint8Array, flags: number): string {
  if (!(flags & NLM_F_ACK_TLVS)) return '';
  return new Attributes(payload.subarray(4 + HEADER)).text(NLMSGERR_ATTR_MSG) ?? '';
}
