// Programs whose instructions depend on the kernel's own types (CO-RE, kernel functions): what the loader makes of them
// for this machine's kernel, against what libbpf loaded into it. The tag that the kernel shows covers every instruction.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Btf } from '../../src/btf/index.js';
import { parseObject } from '../../src/elf/index.js';
import { programTag } from '../../src/isa/index.js';
import { resolveInstructions } from '../../src/loader/instructions.js';
import { relocated } from '../../src/loader/load.js';
import { missingKernel, missingTool, needs } from '../require.js';

// A bpffs of our own, in a mount namespace of our own; nothing is attached and nothing stays.
const script = `
  mount -t bpf bpf /sys/fs/bpf && mkdir /sys/fs/bpf/programs || exit 1
  bpftool prog loadall "$1" /sys/fs/bpf/programs >&2 || exit 1
  for p in /sys/fs/bpf/programs/*; do echo "$(basename "$p") $(bpftool -j prog show pinned "$p")"; done`;

function tagsFromKernel(file: string): Map<string, string> {
  const { status, stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', file], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => {
        const space = line.indexOf(' ');
        return [line.slice(0, space), (JSON.parse(line.slice(space)) as { tag: string }).tag];
      }),
  );
}

needs('on this kernel', missingKernel() ?? missingTool('bpftool'), 'SKEP_REQUIRE_KERNEL', () => {
  const kernelBtf = (): Btf => Btf.parse(new Uint8Array(readFileSync('/sys/kernel/btf/vmlinux')));

  test.each(['core', 'kfuncs'])('%s has the instructions that libbpf gives to the kernel', (name) => {
    const file = path.join(import.meta.dirname, `../elf/objects/${name}.bpf.o`);
    const tags = tagsFromKernel(file);
    const spec = parseObject(readFileSync(file));
    const facts = { kernelVersion: '6.18.0', kernelBtf: kernelBtf() };
    const maps = new Map(spec.maps.map((map, i) => [map.name, i + 3]));
    expect(tags.size).toBe(spec.programs.length);
    for (const program of spec.programs) {
      const instructions = relocated(spec, program, facts);
      const bytes = resolveInstructions(spec, program, instructions, maps, facts);
      const mine = [programTag(bytes, 'sha1'), programTag(bytes, 'sha256')];
      expect(mine, program.name).toContain(tags.get(program.name));
    }
  });
});
