// Named sets of kernel functions: where some helpers may be called, which LSM hooks may sleep, may not be attached to,
// or answer yes and no. Names of LSM hooks are without `bpf_lsm_`.

import { AttachType, ProgType } from '../../../bpf/types.js';
import type { HookSet } from './types.js';

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** LSM hooks that a sleepable program may be attached to. */
export const sleepableLsmHooks = words(`
  bpf bpf_map bpf_map_create bpf_map_free bpf_prog bpf_prog_load bpf_token_create bpf_token_free
  bpf_token_cmd bpf_token_capable bprm_check_security bprm_committed_creds bprm_committing_creds
  bprm_creds_for_exec bprm_creds_from_file capget capset cred_prepare file_ioctl file_lock file_open
  file_post_open file_receive inode_create inode_free_security inode_getattr inode_getxattr inode_mknod
  inode_need_killpriv inode_post_setxattr inode_readlink inode_rename inode_rmdir inode_setattr
  inode_setxattr inode_symlink inode_unlink kernel_module_request kernel_read_file kernfs_init_security
  path_unlink path_mkdir path_rmdir path_truncate path_symlink path_link path_rename path_chmod path_chown
  mmap_file netlink_send path_notify release_secctx sb_alloc_security sb_eat_lsm_opts sb_kern_mount
  sb_mount sb_remount sb_set_mnt_opts sb_show_options sb_statfs sb_umount settime socket_accept socket_bind
  socket_connect socket_create socket_getpeername socket_getpeersec_dgram socket_getsockname
  socket_getsockopt socket_listen socket_post_create socket_recvmsg socket_sendmsg socket_shutdown
  socket_socketpair syslog task_alloc current_getlsmprop_subj task_getlsmprop_obj task_prctl task_setscheduler
  userns_create
`);

/** LSM hooks that no program may be attached to: they have no default answer that fits, or hand out buffers. */
export const disabledLsmHooks = words(`
  vm_enough_memory inode_need_killpriv inode_getsecurity inode_listsecurity inode_copy_up_xattr getselfattr
  getprocattr setprocattr key_getsecurity audit_rule_match xfrm_decode_session ismaclabel
`);

/** Their pointers are not trusted: the object is being made or unmade. */
export const untrustedLsmHooks = words(`
  bpf_map_free bpf_prog_free file_alloc_security file_free_security sk_alloc_security sk_free_security
  task_free
`);

/** These answer 0 or 1; other hooks that return a number answer 0 or a negative errno. */
export const booleanLsmHooks = words(`
  xfrm_state_pol_flow_match audit_rule_known inode_xattr_skipcap
`);

/** cgroup LSM programs may get and set options of the socket here: it is locked, or not yet shared. */
export const socketOptionHooks = {
  locked: words('sock_graft inet_csk_clone inet_conn_established'),
  unlocked: words('socket_post_create socket_socketpair'),
};

/** cgroup LSM programs are those of the current task's cgroup here; elsewhere those of the socket's. */
export const currentTaskHooks = words('sk_alloc_security sk_free_security');

/** Functions that no program may be attached to: the entry to a program calls them itself (btf_id_deny). */
export const deniedFunctions = words(`
  migrate_disable migrate_enable rcu_read_unlock_strict preempt_count_add preempt_count_sub __rcu_read_lock
  __rcu_read_unlock
`);

/** Functions that never return, so that nothing can run after them. */
export const neverReturning = words(`
  __ia32_sys_exit __ia32_sys_exit_group __kunit_abort kunit_try_catch_throw __module_put_and_kthread_exit
  __x64_sys_exit __x64_sys_exit_group do_exit do_group_exit kthread_complete_and_exit kthread_exit
  make_task_dead
`);

/** Functions where bpf_d_path is safe for tracing programs. Iterators may call it too. */
const dPathFunctions = words(`
  security_file_permission security_inode_getattr security_file_open security_path_truncate vfs_truncate
  vfs_fallocate dentry_open vfs_getattr filp_close
`);

/** A program and the kernel function that it is attached to. */
export interface AttachedProgram {
  readonly type: ProgType;
  readonly attach: AttachType;
  readonly target: string;
}

/** Whether a helper that is bound to a set may be called; otherwise `helper call is not allowed in probe`. */
export function hookAllows(set: HookSet, { type, attach, target }: AttachedProgram): boolean {
  const lsm = type === ProgType.Lsm && sleepableLsmHooks.has(target.replace(/^bpf_lsm_/, ''));
  const { TraceIter, TraceRawTp, TraceFentry, TraceFexit } = AttachType;
  switch (set) {
    case 'd-path':
      if (type === ProgType.Tracing && attach === TraceIter) return true;
      return lsm || (type !== ProgType.Lsm && dPathFunctions.has(target));
    case 'sleepable-lsm':
      return lsm;
    case 'sk-storage-tracing':
      if (type !== ProgType.Tracing) return false;
      if (attach === TraceIter || attach === TraceRawTp) return true;
      // The storage must not be changed by what traces its code.
      return (attach === TraceFentry || attach === TraceFexit) && !target.startsWith('bpf_sk_storage');
  }
}

/** What an LSM program may return. In a cgroup 1 lets pass, and a hook without an answer cannot be refused. */
export function lsmReturn(
  hook: string,
  returnsVoid: boolean,
  cgroup: boolean,
): readonly [number, number] | 'any' {
  if (cgroup) return returnsVoid ? [1, 1] : [0, 1];
  if (returnsVoid) return 'any';
  return booleanLsmHooks.has(hook.replace(/^bpf_lsm_/, '')) ? [0, 1] : [-4095, 0];
}
