// Arguments of tracepoints as BTF-typed programs see them (tp_btf). A pointer to a structure is trusted and not NULL,
// except here; other pointers are numbers, and pointers to functions cannot be read (raw_tp_null_args in kernel/bpf/btf.c).

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

/** Arguments that may be NULL, by position from 0. */
const nullable: readonly (readonly [args: readonly number[], tracepoints: readonly string[]])[] = [
  [
    [0],
    words(`
    afs_protocol_error cachefiles_io_error cachefiles_lookup cachefiles_mark_active cachefiles_mark_failed
    cachefiles_mark_inactive cachefiles_ondemand_close cachefiles_ondemand_copen cachefiles_ondemand_cread
    cachefiles_ondemand_fd_release cachefiles_ondemand_fd_write cachefiles_ondemand_open
    cachefiles_ondemand_read cachefiles_prep_read cachefiles_rename cachefiles_unlink cachefiles_vfs_error
    mm_collapse_huge_page_isolate mm_page_alloc mm_page_alloc_zone_locked mm_page_pcpu_drain rxrpc_recvdata
    tmigr_update_events xfs_blockgc_flush_all xfs_blockgc_start xfs_blockgc_stop xfs_blockgc_worker
    xfs_defer_add_item xfs_defer_cancel_item xfs_defer_cancel_list xfs_defer_create_intent
    xfs_defer_finish_item xfs_defer_isolate_paused xfs_defer_item_pause xfs_defer_item_unpause
    xfs_defer_pending_abort xfs_defer_pending_finish xfs_defer_relog_intent xfs_fs_sync_fs xfs_inodegc_flush
    xfs_inodegc_push xfs_inodegc_queue xfs_inodegc_start xfs_inodegc_stop xfs_inodegc_throttle
    xs_stream_read_data
    `),
  ],
  [
    [0, 1],
    words(`
    tcp_send_reset
    `),
  ],
  [
    [1],
    words(`
    afs_flock_ev afs_make_fs_call afs_make_fs_call1 afs_make_fs_call2 afs_make_fs_calli break_lease_block
    break_lease_noblock break_lease_unblock device_pm_callback_start ext4_mballoc_discard ext4_mballoc_free
    fcntl_setlk flock_lock_inode folio_wait_writeback generic_delete_lease hugetlbfs_alloc_inode
    locks_remove_posix mm_khugepaged_collapse_file mm_khugepaged_scan_file mm_khugepaged_scan_pmd
    netfs_failure posix_lock_inode rxrpc_resend sched_pi_setprio time_out_leases writeback_dirty_folio
    xfs_blockgc_free_space xfs_ioc_free_eofblocks xprt_get_cong xprt_put_cong xprt_release_cong
    xprt_reserve_cong
    `),
  ],
  [
    [2],
    words(`
    fib_table_lookup sched_stick_numa sched_swap_numa tcp_sendmsg_locked tegra_dma_tx_status
    xfs_btree_overlapped_query_range xfs_btree_updkeys
    `),
  ],
  [
    [3],
    words(`
    kfree_skb qdisc_dequeue
    `),
  ],
  [
    [4],
    words(`
    host1x_cdma_push_gather xfs_map_blocks_alloc xfs_map_blocks_found
    `),
  ],
];

/** Arguments that may be an error in place of a pointer, and are numbers therefore. */
const errors: Readonly<Record<string, readonly number[]>> = {
  cachefiles_lookup: [2],
  mr_integ_alloc: [3],
};

const byName = new Map(nullable.flatMap(([args, names]) => names.map((name) => [name, args] as const)));

/**
 * What is special about argument `index` (from 0) of a tracepoint, its name without `btf_trace_`, that points to a
 * structure; undefined: it is a trusted pointer.
 */
export function tracepointArgument(tracepoint: string, index: number): 'nullable' | 'number' | undefined {
  if (errors[tracepoint]?.includes(index)) return 'number';
  return byName.get(tracepoint)?.includes(index) ? 'nullable' : undefined;
}
