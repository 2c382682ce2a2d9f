// The emulated kernel's BTF: what is in it, and that it is sound.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { missingKernel, missingTool, needs } from '../../../test/require.js';
import { Btf, type BtfKindName } from '../../btf/index.js';
import { programRules } from '../verifier/tables/contexts/index.js';
import { helperSignatures } from '../verifier/tables/helper-signatures.js';
import { kfuncs } from '../verifier/tables/kfuncs.js';
import { kernelTypes } from './index.js';

const btf = await kernelTypes();
const has = (name: string, kind: BtfKindName): boolean => btf.findByName(name, kind) !== undefined;

test('it is small enough to ship and is parsed once', async () => {
  expect(statSync(path.join(import.meta.dirname, 'vmlinux.btf.gz')).size).toBeLessThan(1.5e6);
  expect(await kernelTypes()).toBe(btf);
});

test('what programs and the verifier look up is there', () => {
  const structs =
    'task_struct sk_buff sock sock_common file path inode dentry cgroup mm_struct vm_area_struct cred pt_regs net_device xdp_buff seq_file linux_binprm bpf_map bpf_prog tcp_sock udp_sock request_sock nf_hook_state tcp_congestion_ops bpf_dummy_ops bpf_spin_lock bpf_timer bpf_dynptr bpf_iter_num bpf_cpumask bpf_list_head bpf_rb_root';
  for (const name of structs.split(' ')) expect(has(name, 'STRUCT'), name).toBe(true);
  for (const name of ['sched_switch', 'sys_enter', 'task_rename', 'kfree_skb', 'xdp_exception']) {
    expect(has(`btf_trace_${name}`, 'TYPEDEF'), name).toBe(true);
  }
  const functions =
    'bpf_lsm_file_open bpf_lsm_socket_connect bpf_lsm_bprm_check_security bpf_iter_task bpf_iter_bpf_map bpf_iter_tcp tcp_connect vfs_read do_unlinkat bpf_fentry_test1 bpf_modify_return_test security_file_open __x64_sys_execve';
  for (const name of functions.split(' ')) expect(has(name, 'FUNC'), name).toBe(true);
});

test('structures that contexts and helpers name are there', () => {
  const named = new Set<string>();
  for (const { context, kernelContext } of programRules) {
    if (kernelContext) named.add(kernelContext);
    if (context.kind !== 'fields') continue;
    for (const { yields } of context.fields) if (yields?.btf) named.add(yields.btf);
  }
  for (const { args, returns, variants = [] } of helperSignatures) {
    for (const one of [...args, returns, ...variants.flatMap((other) => [...other.args, other.returns])]) {
      if (one.btf) named.add(one.btf);
    }
  }
  expect(named.size).toBeGreaterThan(20);
  expect([...named].filter((name) => !has(name, 'STRUCT'))).toEqual([]);
});

test('every kfunc has its function, prototype and tag', () => {
  const tagged = new Set(
    btf.idsByName('bpf_kfunc').flatMap((id) => {
      const tag = btf.type(id);
      return tag.kind === 'DECL_TAG' ? [btf.nameOf(tag.type)] : [];
    }),
  );
  // Test functions that only carry the mark in some kernels have a row as well.
  const missing = kfuncs.filter(({ name }) => !tagged.has(name)).map(({ name }) => name);
  expect(missing).toEqual([]);
  for (const { name } of kfuncs) {
    const func = btf.type(btf.findByName(name, 'FUNC') ?? 0);
    if (func.kind !== 'FUNC') throw new Error(name);
    expect(btf.kind(func.type), name).toBe('FUNC_PROTO');
  }
});

needs('bpftool', missingTool('bpftool'), 'SKEP_REQUIRE_TOOLS', () => {
  test('reads it and counts the same types', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'skep-types-'));
    try {
      const file = path.join(folder, 'vmlinux.btf');
      writeFileSync(file, btf.bytes);
      const { stdout, status, stderr } = spawnSync(
        'bpftool',
        ['btf', 'dump', 'file', file, 'format', 'raw'],
        {
          encoding: 'utf8',
          maxBuffer: 1 << 28,
        },
      );
      expect(status, stderr).toBe(0);
      expect(stdout.match(/^\[\d+\] /gm)?.length).toBe(btf.typeCount - 1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

needs('the kernel of this machine', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test('has structures of the same size where it is the same version', () => {
    const live = Btf.parse(readFileSync('/sys/kernel/btf/vmlinux'));
    const release = readFileSync('/proc/sys/kernel/osrelease', 'utf8');
    let compared = 0;
    for (const name of [
      'task_struct',
      'sk_buff',
      'sock',
      'tcp_sock',
      'file',
      '__sk_buff',
      'xdp_md',
      'bpf_sock_ops',
    ]) {
      const [ours, theirs] = [btf, live].map((one) => {
        const id = one.findByName(name, 'STRUCT');
        return id === undefined ? undefined : one.sizeOf(id);
      });
      expect(ours, name).toBeGreaterThan(0);
      if (!release.startsWith('6.18.') || theirs === undefined) continue;
      // Builds differ; what user space sees does not.
      if (/^__sk_buff|^xdp_md|^bpf_/.test(name)) expect(theirs, name).toBe(ours);
      compared++;
    }
    if (release.startsWith('6.18.')) expect(compared).toBeGreaterThan(3);
  });
});
