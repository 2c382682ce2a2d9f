// Makes src/kernel/types/vmlinux.btf.gz: the types of a real kernel as the emulated kernel has them. All structures,
// unions, enumerations and typedefs are kept (tracepoints' btf_trace_* with them), and of the functions: kernel
// functions for programs, LSM hooks, iterators, and those of the parts of the kernel that programs usually trace.
//
//     node scripts/kernel-btf.mjs [FILE]      FILE: BTF of a kernel, /sys/kernel/btf/vmlinux unless given

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const source = process.argv[2] ?? '/sys/kernel/btf/vmlinux';
const target = path.join(root, 'src/kernel/types/vmlinux.btf.gz');
/** Bytes that the compressed types may have. */
const LIMIT = 1.5e6;

/** Functions that are kept whatever they belong to. */
const KEPT = /^bpf_lsm_|^bpf_iter_|^bpf_fentry_test|^bpf_modify_return_test/;
/** Parts of the kernel whose functions programs trace, as their names begin. */
const TRACED = `
  __x64_sys_ ksys_ do_sys_ vfs_ filp_ file_ do_filp dentry_ d_path path_ open_ may_open getname lookup_ link_path
  user_path inode_ notify_ fsnotify mnt_ mount_ pipe_ ep_ eventfd_ seq_ proc_ iov_ iter_ generic_file ext4_ xfs_ btrfs_
  nfs_ do_ task_ sched_ schedule __schedule pick_next finish_task wake_up try_to_wake copy_process kernel_clone
  kernel_ exit_ wait_ signal_ send_sig kill_ ptrace_ futex_ set_task prepare_ commit_creds override_creds capable
  ns_capable cap_ security_ kmem_cache_ kmalloc __kmalloc kfree mm_ handle_mm mmap_ oom_ try_to_free shrink_ account_
  page_ folio_ alloc_pages __alloc_pages free_pages __free_pages blk_ bio_ submit_bio tcp_ __tcp_ udp_ __udp_ inet_
  inet6_ ip_ ip6_ ipv6_ __ip_ icmp_ arp_ neigh_ fib_ unix_ netlink_ genl_ rtnl sock_ sk_ __sk_ skb_ __skb_ netif_
  __netif_ dev_ __dev_ napi_ nf_ qdisc_ tc_ tcf_ sch_ pfifo fq_ tun_ tap_ veth_ xdp_ __xdp generic_xdp cgroup_
  bpf_prog_ bpf_map_ cpu_ irq_ handle_irq __handle_irq tick_ hrtimer_ timer_ rcu_ tty_ console_ crypto_ key_
`
  .trim()
  .split(/\s+/);

const folder = mkdtempSync(path.join(root, 'build/'));
let Btf;
let BtfBuilder;
try {
  const outfile = path.join(folder, 'btf.mjs');
  await build({
    entryPoints: [path.join(root, 'src/btf/index.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    logLevel: 'error',
  });
  ({ Btf, BtfBuilder } = await import(pathToFileURL(outfile).href));
} finally {
  rmSync(folder, { recursive: true });
}

const kernel = Btf.parse(readFileSync(source));
const tagged = new Set(kernel.idsByName('bpf_kfunc').map((id) => kernel.type(id).type));
const isKept = (id) => {
  if (kernel.kind(id) === 'DECL_TAG') return isKept(kernel.type(id).type);
  if (kernel.kind(id) === 'FUNC_PROTO') return false;
  if (kernel.kind(id) !== 'FUNC') return true;
  const name = kernel.nameOf(id);
  return tagged.has(id) || KEPT.test(name) || TRACED.some((prefix) => name.startsWith(prefix));
};

/** Ids that a type names; `to` changes them. */
const relink = (type, to) => {
  const { id, ...rest } = type;
  switch (rest.kind) {
    case 'STRUCT':
    case 'UNION':
      return { ...rest, members: rest.members.map((one) => ({ ...one, type: to(one.type) })) };
    case 'FUNC_PROTO':
      return {
        ...rest,
        returnType: to(rest.returnType),
        params: rest.params.map((one) => ({ ...one, type: to(one.type) })),
      };
    case 'ARRAY':
      return { ...rest, type: to(rest.type), indexType: to(rest.indexType) };
    case 'DATASEC':
      return { ...rest, vars: rest.vars.map((one) => ({ ...one, type: to(one.type) })) };
    default:
      return typeof rest.type === 'number' ? { ...rest, type: to(rest.type) } : rest;
  }
};

const kept = new Set([0]);
const todo = [];
for (let id = 1; id < kernel.typeCount; id++) if (isKept(id)) todo.push(id);
for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
  if (kept.has(id)) continue;
  kept.add(id);
  relink(kernel.type(id), (other) => {
    todo.push(other);
    return other;
  });
}
// In the kernel's order, which neighbours share most with.
const ids = [...kept].sort((a, b) => a - b);
const renumbered = new Map(ids.map((id, i) => [id, i]));
const builder = new BtfBuilder();
for (const id of ids.slice(1)) builder.add(relink(kernel.type(id), (other) => renumbered.get(other)));
const bytes = builder.encode();
const packed = gzipSync(bytes, { level: 9 });
// The time and the system in the header would make every run another file.
packed.fill(0, 4, 8);
packed[9] = 255;
if (packed.length > LIMIT) throw new Error(`${packed.length} bytes are more than ${LIMIT}`);
writeFileSync(target, packed);
console.log(
  `${source}: ${kernel.typeCount} types, ${kernel.bytes.length} bytes\n` +
    `${path.relative(root, target)}: ${ids.length} types, ${bytes.length} bytes, ${packed.length} compressed`,
);
