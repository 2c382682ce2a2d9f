// The tools that make and show BPF objects. Skep needs none of them; whoever writes programs does.

import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Check, CheckGroup } from './doctor.js';

const execute = promisify(execFile);

/** Milliseconds that a tool may take to say its version. */
const PATIENCE = 5000;

/** What a command prints; undefined when it cannot be run or fails. */
async function answer(command: string, ...args: string[]): Promise<string | undefined> {
  try {
    const { stdout } = await execute(command, args, { timeout: PATIENCE });
    return stdout;
  } catch {
    return undefined;
  }
}

/** Commands on the path whose name matches, as full paths. */
function onPath(name: RegExp): string[] {
  const found: string[] = [];
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    if (folder === '') continue;
    try {
      for (const file of readdirSync(folder)) if (name.test(file)) found.push(path.join(folder, file));
    } catch {
      // A folder that is not there has no commands.
    }
  }
  return found;
}

/** `clang` itself first, then the one with the highest number. */
function clangs(): string[] {
  const number = (file: string): number =>
    Number(/-(\d+)(\.exe)?$/.exec(file)?.[1] ?? Number.POSITIVE_INFINITY);
  return onPath(/^clang(-\d+)?(\.exe)?$/).sort((a, b) => number(b) - number(a));
}

const INSTALL_CLANG = 'Install clang (Debian: apt install clang; macOS: brew install llvm).';

async function clangCheck(): Promise<Check> {
  let without: Check | undefined;
  for (const clang of clangs()) {
    const version = /version (\S+)/.exec((await answer(clang, '--version')) ?? '')?.[1];
    if (version === undefined) continue;
    const name = path.basename(clang);
    if (/^\s*bpf(el)?\b/m.test((await answer(clang, '--print-targets')) ?? '')) {
      return { name: 'clang', ok: true, detail: `${version} (${name}), with BPF as a target` };
    }
    without ??= {
      name: 'clang',
      ok: false,
      detail: `${version} (${name}) was built without BPF`,
      advice: `${INSTALL_CLANG} Apple's own has no BPF.`,
    };
  }
  return without ?? { name: 'clang', ok: false, detail: 'not found', advice: INSTALL_CLANG };
}

async function bpftoolCheck(): Promise<Check> {
  // Debian has it where only root looks.
  const places = ['bpftool', '/usr/sbin/bpftool', '/sbin/bpftool'];
  for (const place of places) {
    const version = /bpftool v(\S+)/.exec((await answer(place, 'version')) ?? '')?.[1];
    if (version !== undefined) return { name: 'bpftool', ok: true, detail: version };
  }
  return {
    name: 'bpftool',
    ok: false,
    detail: 'not found',
    advice:
      process.platform === 'linux'
        ? 'Install bpftool (Debian: apt install bpftool; Fedora: dnf install bpftool).'
        : 'It runs on Linux only.',
  };
}

export async function toolChecks(): Promise<CheckGroup> {
  const [clang, bpftool] = await Promise.all([clangCheck(), bpftoolCheck()]);
  return { name: 'Tools', for: 'making objects from C, and looking at the kernel', checks: [clang, bpftool] };
}
