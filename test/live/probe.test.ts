// What is found out about the real kernel: as bpftool finds it. Helpers are compared with what bpftool 7.8 found on Linux
// 6.18 (goldens/), because older bpftools do not understand this kernel's refusals and list every helper for every type.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { helperNames } from '../../src/bpf/helpers.js';
import { mapTypeName, ProgType, progTypeName } from '../../src/bpf/types.js';
import { Btf } from '../../src/btf/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { mapTypes as emulatedMapTypes } from '../../src/kernel/maps/table.js';
import {
  effectiveCapabilities,
  kernelConfig,
  LinuxKernel,
  mounts,
  probeFeatures,
  probeHelper,
  readKallsyms,
  readKernelBtf,
  sysctl,
} from '../../src/linux/index.js';
import { missingKernel, missingTool, needs } from '../require.js';

interface Probed {
  system_config: Record<string, unknown>;
  program_types: Record<string, boolean>;
  map_types: Record<string, boolean>;
  helpers: Record<string, string[]>;
  misc: Record<string, boolean>;
}

const golden = path.join(import.meta.dirname, 'goldens/bpftool-7.8-linux-6.18-feature-probe.json');

needs(
  'what bpftool finds out about this kernel',
  missingKernel() ?? missingTool('bpftool'),
  'SKEP_REQUIRE_KERNEL',
  () => {
    test('map types, program types and the verifier are found as bpftool finds them', async () => {
      using linux = new LinuxKernel();
      const { status, stdout } = spawnSync('bpftool', ['feature', 'probe', 'kernel', '-j'], {
        encoding: 'utf8',
        maxBuffer: 1 << 26,
      });
      expect(status).toBe(0);
      const theirs = JSON.parse(stdout) as Probed;
      const { mapTypes, progTypes, misc } = await probeFeatures(linux);
      // What this bpftool is too old to know is left out.
      const known = (names: Record<string, boolean>, ours: [string, boolean][]) =>
        Object.fromEntries(ours.filter(([name]) => name in names));
      const maps = [...mapTypes].map(([type, there]): [string, boolean] => [
        `have_${mapTypeName(type)}_map_type`,
        there,
      ]);
      expect(known(theirs.map_types, maps)).toEqual(theirs.map_types);
      const programs = [...progTypes].map(([type, there]): [string, boolean] => [
        `have_${progTypeName(type)}_prog_type`,
        there,
      ]);
      expect(known(theirs.program_types, programs)).toEqual(theirs.program_types);
      expect({
        have_large_insn_limit: misc.largeInsnLimit,
        have_bounded_loops: misc.boundedLoops,
        have_v2_isa_extension: misc.isaV2,
        have_v3_isa_extension: misc.isaV3,
      }).toEqual(
        known(
          theirs.misc,
          Object.entries(theirs.misc).filter(([name]) => name !== 'have_v4_isa_extension'),
        ),
      );
      const { system_config: settings } = theirs;
      expect(Number(sysctl('net.core.bpf_jit_enable'))).toBe(settings.bpf_jit_enable);
      expect(Number(sysctl('kernel.unprivileged_bpf_disabled'))).toBe(settings.unprivileged_bpf_disabled);
      const config = kernelConfig();
      for (const [name, value] of Object.entries(settings)) {
        if (name.startsWith('CONFIG_')) expect(config?.get(name) ?? null, name).toBe(value);
      }
    });
  },
);

test('the emulated kernel is probed in the same way, and has what it can create and load', async () => {
  const { mapTypes, progTypes } = await probeFeatures(new EmulatedKernel());
  const there = [...mapTypes].filter(([, has]) => has).map(([type]) => type);
  expect(there.toSorted()).toEqual(emulatedMapTypes.map(({ type }) => type).toSorted());
  expect(progTypes.get(ProgType.Xdp)).toBe(true);
  expect(progTypes.get(ProgType.StructOps)).toBe(true);
});

const recorded =
  missingKernel() ??
  (release().startsWith('6.18.') ? undefined : `the recording is of Linux 6.18, this is ${release()}`);

needs('helpers of this kernel', recorded, 'SKEP_REQUIRE_KERNEL', () => {
  test('helpers of each program type are those that bpftool 7.8 found', async () => {
    using linux = new LinuxKernel();
    const theirs = JSON.parse(readFileSync(golden, 'utf8')) as Probed;
    const { helpers, progTypes } = await probeFeatures(linux, { helpers: true });
    const ours = Object.fromEntries(
      [...progTypes.keys()].map((type) => [
        `${progTypeName(type)}_available_helpers`,
        (helpers.get(type) ?? []).map((id) => `bpf_${helperNames[id]}`).sort(),
      ]),
    );
    const sorted = Object.entries(theirs.helpers).map(([name, list]) => [name, list.sort()] as const);
    expect(ours).toEqual(Object.fromEntries(sorted));
    expect(await probeHelper(linux, ProgType.Tracing, 1)).toBeUndefined();
  });
});

needs('the files of this kernel', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test('its types are BTF, its symbols are found by name and address', () => {
    const btf = Btf.parse(readKernelBtf());
    expect(btf.findByName('task_struct', 'STRUCT')).toBeDefined();
    const symbols = readKallsyms();
    const found = symbols.byName('bpf_map_init_from_attr');
    expect(found?.type.toLowerCase()).toBe('t');
    expect(symbols.byName('no_such_symbol')).toBeUndefined();
    if (!found || !symbols.hasAddresses) return;
    expect(symbols.at(found.address)?.address).toBe(found.address);
    expect(symbols.at(found.address + 1n)?.address).toBe(found.address);
    expect(symbols.at(0n - 1n)).toBeUndefined();
  });

  test('rights and mounts are those that the kernel lists', () => {
    expect(effectiveCapabilities()).toEqual(new Set(['NET_ADMIN', 'SYS_ADMIN', 'PERFMON', 'BPF']));
    expect(mounts('proc')).toContain('/proc');
    expect(mounts('no_such_file_system')).toEqual([]);
    expect(sysctl('no.such.setting')).toBeUndefined();
  });
});
