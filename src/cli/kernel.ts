// skep kernel start | stop | status | reset | list: the kernels that stay.

import { type KernelPlace, kernelPlace, kernelPlaces } from '../node/run-directory.js';
import { KernelGone, type RemoteKernel } from '../remote/client.js';
import type { KernelStatus } from '../remote/protocol.js';
import { chosenKernel, LINUX, runningKernel, startedKernel } from './connect.js';
import { UsageError } from './errors.js';
import { type KernelOptions, usualOptions } from './kernel-options.js';
import { counted, size, table } from './text.js';

export interface KernelCommandOptions {
  kernel?: string;
  json?: boolean;
}

export interface KernelStartOptions extends KernelCommandOptions {
  cpus: number;
  engine: KernelOptions['engine'];
  unverified?: boolean;
}

function place(options: KernelCommandOptions): KernelPlace {
  const name = chosenKernel(options.kernel);
  if (name !== LINUX) return kernelPlace(name);
  throw new UsageError('the kernel of this machine is not kept by Skep', {
    hint: 'It is there as long as the machine runs. Name another one, or leave --kernel and SKEP_KERNEL out.',
  });
}

const print = (options: KernelCommandOptions, value: object, text: string): void => {
  process.stdout.write(options.json ? `${JSON.stringify(value, undefined, 2)}\n` : text);
};

/** Starts a kernel; one that runs already is left as it is. */
export async function kernelStart(options: KernelStartOptions): Promise<void> {
  const { cpus, engine } = options;
  const wanted: KernelOptions = { cpus, engine, safety: options.unverified ? 'check' : 'verify' };
  const { kernel, isNew } = await startedKernel(place(options), wanted);
  try {
    const status = await kernel.control.status();
    if (!isNew) refuseOther(status, wanted);
    const { name, pid } = status;
    print(options, { running: true, started: isNew, ...status }, isNew ? '' : running(name, pid));
  } finally {
    kernel.close();
  }
}

const running = (name: string, pid: number): string =>
  `The kernel \`${name}\` is running already (process ${pid}).\n`;

/** What was asked for at the start cannot be had of one that runs. */
function refuseOther(status: KernelStatus, wanted: KernelOptions): void {
  for (const key of ['cpus', 'engine', 'safety'] as const) {
    if (wanted[key] === usualOptions[key] || wanted[key] === status[key]) continue;
    throw new UsageError(
      `the kernel \`${status.name}\` runs with ${key} ${status[key]}, not ${wanted[key]}`,
      {
        hint: `skep kernel stop --kernel ${status.name} ends it, with everything in it.`,
      },
    );
  }
}

async function withRunning(
  options: KernelCommandOptions,
  body: (kernel: RemoteKernel, place: KernelPlace) => Promise<void>,
): Promise<void> {
  const where = place(options);
  const kernel = await runningKernel(where);
  if (!kernel) {
    print(options, { name: where.name, running: false }, `The kernel \`${where.name}\` is not running.\n`);
    process.exitCode = 1;
    return;
  }
  try {
    await body(kernel, where);
  } finally {
    kernel.close();
  }
}

/** Ends a kernel with everything in it. Exit status 1 when it does not run. */
export async function kernelStop(options: KernelCommandOptions): Promise<void> {
  await withRunning(options, async (kernel, { name }) => {
    // It may end before we have its word.
    await kernel.control.stop().catch(ignoreEnd);
    await kernel.ended;
    print(options, { name, running: false }, `The kernel \`${name}\` was stopped.\n`);
  });
}

const ignoreEnd = (error: unknown): void => {
  if (!(error instanceof KernelGone)) throw error;
};

/** Everything in a kernel goes, as if it were stopped and started. Exit status 1 when it does not run. */
export async function kernelReset(options: KernelCommandOptions): Promise<void> {
  await withRunning(options, async (kernel, { name }) => {
    await kernel.control.reset();
    print(options, { name, running: true, reset: true }, `The kernel \`${name}\` was reset.\n`);
  });
}

/** What a kernel holds. Exit status 1 when it does not run. */
export async function kernelStatus(options: KernelCommandOptions): Promise<void> {
  await withRunning(options, async (kernel) => {
    const status = await kernel.control.status();
    print(options, { running: true, ...status }, statusText(status));
  });
}

function statusText(status: KernelStatus): string {
  const { programs, maps, links, btf, clients, descriptors } = status;
  const engine = status.safety === 'check' ? `${status.engine}, unverified programs too` : status.engine;
  const objects = [
    counted(programs, 'program'),
    counted(maps, 'map'),
    counted(links, 'link'),
    counted(btf, 'BTF object'),
  ];
  return `The kernel \`${status.name}\` is running.\n${table([
    ['process', `${status.pid}, for ${duration(status.uptime)}, Skep ${status.version}`],
    ['made with', `${counted(status.cpus, 'CPU')}, ${engine}`],
    ['objects', objects.join(', ')],
    ['clients', `${counted(clients, 'connection')}, ${counted(descriptors, 'descriptor')}`],
    ['memory', size(status.memory)],
    ['socket', status.socket],
    ['log', status.log],
  ])}`;
}

/** `3 d 4 h`, `12 min 5 s`: the two largest units. */
function duration(seconds: number): string {
  const units: [string, number][] = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return '0 s';
  let rest = Math.floor(seconds);
  return units
    .slice(first, first + 2)
    .map(([unit, size]) => {
      const count = Math.floor(rest / size);
      rest %= size;
      return `${count} ${unit}`;
    })
    .join(' ');
}

/** The kernels of this user that run. */
export async function kernelList(options: { json?: boolean }): Promise<void> {
  const found: KernelStatus[] = [];
  for (const place of kernelPlaces()) {
    const kernel = await runningKernel(place);
    if (!kernel) continue;
    try {
      found.push(await kernel.control.status());
    } finally {
      kernel.close();
    }
  }
  const rows = found.map(({ name, pid, uptime, programs, maps }) => [
    name,
    `process ${pid}`,
    duration(uptime),
    counted(programs, 'program'),
    counted(maps, 'map'),
  ]);
  print(options, found, found.length > 0 ? table(rows, { indent: '' }) : 'No kernel is running.\n');
}
