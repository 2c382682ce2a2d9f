// The words of the commands for a kernel's files: cat, ls, mkdir, rmdir, rm, mv, sysctl.

import { type Command, InvalidArgumentError } from 'commander';
import type { FileCommandOptions, ListOptions, MakeOptions, RemoveOptions } from './files.js';
import { kernelOption } from './options.js';
import type { SysctlOptions } from './sysctl.js';

/** Permission bits as chmod(1) takes them. */
function octal(text: string): number {
  if (/^[0-7]{1,4}$/.test(text)) return Number.parseInt(text, 8);
  throw new InvalidArgumentError('It must be permission bits in octal: 700.');
}

/** Adds them; `addCommand` makes a command of the program. */
export function addFileCommands(addCommand: (name: string) => Command): void {
  const command = (name: string, summary: string, description: string): Command =>
    addCommand(name).summary(summary).description(description).addOption(kernelOption());

  command(
    'cat',
    'print files of the kernel; follow trace_pipe',
    "Prints the kernel's files under /proc and /sys. One without an end (trace_pipe) is followed until Ctrl-C.",
  )
    .argument('<path...>', 'absolute paths, or paths from the directory that the shell is in')
    .addHelpText('after', '\nExample:\n  $ skep cat /sys/kernel/debug/tracing/trace_pipe')
    .action(async (paths: string[], options: FileCommandOptions) => {
      await (await import('./files.js')).cat(paths, options);
    });
  command(
    'ls',
    "list names in the kernel's file systems",
    'Lists directories of the kernel: pins in its bpf file system, and what is under /proc and /sys.',
  )
    .argument('[path...]', '/sys/fs/bpf unless told')
    .option('-l, --long', 'with permissions, owner, size and what a name stands for')
    .option('-d, --directory', 'directories themselves, not what is in them')
    .option('--json', 'print one JSON document')
    .action(async (paths: string[], options: ListOptions) => {
      await (await import('./files.js')).list(paths, options);
    });
  command('mkdir', 'make directories in a bpf file system', 'Makes directories in a bpf file system.')
    .argument('<path...>', 'their names')
    .option('-p, --parents', 'make those above them too; it is no error when they are there')
    .option('-m, --mode <bits>', 'permissions in octal', octal)
    .action(async (paths: string[], options: MakeOptions) => {
      await (await import('./files.js')).makeDirectories(paths, options);
    });
  command('rmdir', 'remove empty directories', 'Removes empty directories of a bpf file system.')
    .argument('<path...>', 'their names')
    .action(async (paths: string[], options: FileCommandOptions) => {
      await (await import('./files.js')).removeDirectories(paths, options);
    });
  command(
    'rm',
    'remove pins',
    'Removes names from a bpf file system. What had no other name and nobody holds is gone.',
  )
    .argument('<path...>', 'their names')
    .option('-r, --recursive', 'directories, and everything in them')
    .option('-f, --force', 'it is no error when there is no such name')
    .action(async (paths: string[], options: RemoveOptions) => {
      await (await import('./files.js')).remove(paths, options);
    });
  command(
    'mv',
    'rename pins',
    'Gives a name in a bpf file system another name, or moves names into a directory.',
  )
    .argument('<path...>', 'the names, and last the new name or the directory')
    .action(async (paths: string[], options: FileCommandOptions, self: Command) => {
      if (paths.length < 2) self.error('error: missing argument: the new name, or the directory');
      await (await import('./files.js')).move(paths, options);
    });
  command(
    'sysctl',
    'show and change settings of the kernel',
    'Shows settings under /proc/sys by name, and changes them: NAME=VALUE.',
  )
    .argument('[setting...]', 'net.core.bpf_jit_enable, or net.core.bpf_jit_enable=0')
    .option('-a, --all', 'all settings')
    .option('-e, --ignore', 'leave out what is not there')
    .option('-n, --values', 'print only values')
    .option('-N, --names', 'print only names')
    .option('-q, --quiet', 'do not print what was set')
    .option('-w, --write', 'every setting must be NAME=VALUE')
    .action(async (words: string[], options: SysctlOptions, self: Command) => {
      if (words.length === 0 && !options.all)
        self.error('error: missing argument: the name of a setting, or --all');
      await (await import('./sysctl.js')).sysctl(words, options);
    });
}
