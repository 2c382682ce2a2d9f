// Names of hooks: those of a real kernel.

import { expect, test } from 'vitest';
import { AttachType, ProgType } from '../../src/bpf/types.js';
import { kernelTypes } from '../../src/kernel/types/index.js';
import * as hooks from '../../src/kernel/verifier/tables/hooks.js';

const btf = await kernelTypes();
const isHook = (name: string) => btf.findByName(`bpf_lsm_${name}`, 'FUNC') !== undefined;

const { sleepableLsmHooks, untrustedLsmHooks, booleanLsmHooks, currentTaskHooks } = hooks;
test.each(Object.entries({ sleepableLsmHooks, untrustedLsmHooks, booleanLsmHooks, currentTaskHooks }))(
  '%s are hooks of 6.18',
  (_, names) => {
    expect([...names].filter((hook) => !isHook(hook))).toEqual([]);
  },
);

test('bpf_d_path may be called where paths can be looked at', () => {
  const { Tracing, Lsm, Kprobe } = ProgType;
  const { TraceIter, TraceFentry, LsmMac } = AttachType;
  const allows = (type: ProgType, attach: AttachType, target: string) =>
    hooks.hookAllows('d-path', { type, attach, target });
  expect(allows(Tracing, TraceIter, 'bpf_iter_task_file')).toBe(true);
  expect(allows(Tracing, TraceFentry, 'vfs_truncate')).toBe(true);
  expect(allows(Tracing, TraceFentry, 'do_unlinkat')).toBe(false);
  expect(allows(Lsm, LsmMac, 'bpf_lsm_file_open')).toBe(true);
  expect(allows(Lsm, LsmMac, 'bpf_lsm_task_free')).toBe(false);
  expect(allows(Kprobe, 0, '')).toBe(false);
});

test('what an LSM program may return depends on the hook', () => {
  expect(hooks.lsmReturn('file_open', false, false)).toEqual([-4095, 0]);
  expect(hooks.lsmReturn('bpf_lsm_inode_xattr_skipcap', false, false)).toEqual([0, 1]);
  expect(hooks.lsmReturn('task_free', true, false)).toBe('any');
  expect(hooks.lsmReturn('socket_bind', false, true)).toEqual([0, 1]);
  expect(hooks.lsmReturn('sk_free_security', true, true)).toEqual([1, 1]);
});
