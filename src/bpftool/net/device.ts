// Network devices as commands name them.

import type { Bpf, NetDevice } from '../../bpf/bpf.js';
import type { Arguments } from '../arguments.js';
import { ToolError } from '../tool-error.js';

/** Takes `dev NAME`: the device of this name. `status` is that of the errors. */
export async function takeDevice(bpf: Bpf, args: Arguments, status?: number): Promise<NetDevice> {
  if (!args.take('dev')) throw new ToolError(`expected 'dev', got: '${args.next('dev')}'?`, status);
  const name = args.next('DEVNAME');
  const device = (await bpf.netDevices()).find((candidate) => candidate.name === name);
  if (device === undefined) throw new ToolError(`invalid devname ${name}`, status);
  return device;
}
