// Trace output: bpf_trace_printk and bpf_trace_vprintk. What they print goes to the reader of trace_pipe.

import { Errno } from '../../bpf/errno.js';
import { type KernelMemory, layout, POINTER_BASE } from '../memory/memory.js';
import type { HelperBody, HostCall } from './definition.js';
import { type PrintfMemory, printf } from './printf.js';

const utf8 = new TextDecoder();

/** Arguments of trace_printk beside the format, and the most that trace_vprintk takes (MAX_BPRINTF_VARARGS). */
const printkArguments = 3;
const vprintkArguments = 12;

const none = new Uint8Array(0);

/** Linear memory by kernel pointer. Packet pointers have no upper half. */
export const printfMemory = (memory: KernelMemory): PrintfMemory => ({
  bytesAt(pointer, limit) {
    const base = BigInt.asUintN(64, pointer) - BigInt.asUintN(32, pointer);
    const offset = Number(BigInt.asUintN(32, pointer));
    if ((base !== 0n && base !== POINTER_BASE) || offset < layout.FIRST_OFFSET) return none;
    return memory.u8.subarray(offset, offset + limit);
  },
});

const offsetOf = (pointer: bigint): number => Number(BigInt.asUintN(32, pointer));

function print(call: HostCall, args: BigUint64Array): bigint {
  const { memory } = call;
  const format = memory.read(offsetOf(call.arg(1)), offsetOf(call.arg(2)));
  const { result, text } = printf(format, args, printfMemory(memory));
  if (result >= 0) call.trace(utf8.decode(text));
  return BigInt.asUintN(64, BigInt(result));
}

/** bpf_trace_printk(fmt, fmt_size, arg1, arg2, arg3). */
function tracePrintk(call: HostCall): bigint {
  const args = new BigUint64Array(printkArguments);
  args[0] = call.arg(3);
  args[1] = call.arg(4);
  args[2] = call.arg(5);
  return print(call, args);
}

/** bpf_trace_vprintk(fmt, fmt_size, data, data_len): data_len bytes of 64-bit arguments. */
function traceVprintk(call: HostCall): bigint {
  const data = call.arg(3);
  const size = offsetOf(call.arg(4));
  if (size % 8 !== 0 || size > vprintkArguments * 8 || (size !== 0 && data === 0n)) {
    return BigInt.asUintN(64, BigInt(-Errno.EINVAL));
  }
  return print(call, new BigUint64Array(call.memory.read(offsetOf(data), size).buffer));
}

export const traceHelpers: readonly HelperBody[] = [
  ['trace_printk', tracePrintk],
  ['trace_vprintk', traceVprintk],
];
