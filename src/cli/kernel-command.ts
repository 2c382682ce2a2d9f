// The words of `skep kernel`.

import { type Command, Option } from 'commander';
import type { KernelCommandOptions, KernelStartOptions } from './kernel.js';
import { kernelOption, wholeNumber } from './options.js';

/** Adds it; `addCommand` makes a command of the program. */
export function addKernelCommand(addCommand: (name: string) => Command): void {
  const kernel = addCommand('kernel')
    .summary('the emulated kernel that stays: start, stop, look at it')
    .description(
      'Commands that load, list and attach talk to an emulated kernel in a process of its own, which is started by the ' +
        'first of them and stays. There is one for each user, and further ones by name.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ skep kernel status\n  $ skep kernel start --kernel lab --cpus 4\n  $ SKEP_KERNEL=lab skep prog list',
    );
  const add = (name: string, summary: string): Command =>
    kernel
      .command(name)
      .summary(summary)
      .allowExcessArguments(false)
      .showHelpAfterError(false)
      .option('--json', 'print one JSON document');
  const addForOne = (name: string, summary: string): Command =>
    add(name, summary)
      .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
      .addOption(kernelOption());

  addForOne('start', 'start a kernel; one that runs is left as it is')
    .option('--cpus <n>', 'possible CPUs: values that a per-CPU map has for a key', wholeNumber(1, 1024), 1)
    .addOption(
      new Option('--engine <engine>', 'how programs run').choices(['jit', 'interpreter']).default('jit'),
    )
    .option('--unverified', 'load also what the verifier refuses, and watch each access while it runs')
    .action(async (options: KernelStartOptions) => {
      await (await import('./kernel.js')).kernelStart(options);
    });
  addForOne('stop', 'end a kernel, with everything in it').action(async (options: KernelCommandOptions) => {
    await (await import('./kernel.js')).kernelStop(options);
  });
  addForOne('status', 'show what a kernel holds; exit status 1 when it does not run').action(
    async (options: KernelCommandOptions) => {
      await (await import('./kernel.js')).kernelStatus(options);
    },
  );
  addForOne('reset', 'end everything in a kernel, as a reboot does').action(
    async (options: KernelCommandOptions) => {
      await (await import('./kernel.js')).kernelReset(options);
    },
  );
  add('list', 'show the kernels that run')
    .description('Shows the kernels of this user that run.')
    .action(async (options: { json?: boolean }) => {
      await (await import('./kernel.js')).kernelList(options);
    });
}
