// The tree that the emulated kernel begins with: where its file systems are and what is in them.

import type { KernelMachine } from '../machine.js';
import {
  bpffs,
  Directory,
  debugfs,
  devtmpfs,
  type FileSystem,
  procfs,
  rootfs,
  sysfs,
  tracefs,
} from './nodes.js';
import { kernelFiles } from './proc.js';
import { tracingFiles } from './tracefs.js';
import { FileTree } from './tree.js';

/** Where a file system is mounted, and the mode of its root; parents first. */
const mounts: readonly (readonly [path: string, fs: FileSystem, mode: number])[] = [
  ['/tmp', rootfs, 0o1777],
  ['/sys', sysfs, 0o555],
  ['/sys/fs/bpf', bpffs, 0o1777],
  // Cgroups as systemd's hybrid hierarchy has them; there is none but the root, and no hook in it yet.
  ['/sys/fs/cgroup', sysfs, 0o555],
  ['/sys/fs/cgroup/unified', sysfs, 0o555],
  ['/sys/kernel/tracing', tracefs, 0o700],
  ['/sys/kernel/debug', debugfs, 0o700],
  ['/sys/kernel/debug/tracing', tracefs, 0o700],
  ['/proc', procfs, 0o555],
  ['/dev', devtmpfs, 0o755],
];

export function makeTree(machine: KernelMachine): FileTree {
  const tree = new FileTree(machine.objects);
  for (const [path, fs, mode] of mounts) {
    const parent = tree.directory(path.slice(0, path.lastIndexOf('/')));
    parent.children.set(path.slice(path.lastIndexOf('/') + 1), new Directory(fs, parent, mode));
  }
  const tracing = tracingFiles(machine).flatMap(([name, file]) =>
    ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'].map((place) => [`${place}/${name}`, file] as const),
  );
  for (const [path, file] of [...kernelFiles(machine), ...tracing]) {
    const slash = path.lastIndexOf('/');
    tree.directory(path.slice(0, slash)).children.set(path.slice(slash + 1), file);
  }
  return tree;
}
