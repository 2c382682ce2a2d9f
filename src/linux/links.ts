// Links, attachment without links, and iterators of the real kernel.

import type {
  Anchor,
  Fd,
  LinkCommands,
  LinkCreateAttr,
  LinkInfo,
  LinkUpdateAttr,
  ProgAttachAttr,
  ProgDetachAttr,
  ProgQueryAttr,
  ProgQueryResult,
} from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { AttachFlag, AttachType } from '../bpf/types.js';
import { attributes } from './attributes.js';
import { linkInfo } from './link-info.js';
import { bytesOf, cString, type Session } from './session.js';

/** Programs of one hook that one query tells of; more than BPF_MPROG_MAX, which is what a hook takes. */
const QUERY_ROOM = 64;

export class LinuxLinks implements LinkCommands {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async linkCreate(attr: LinkCreateAttr): Promise<Fd> {
    const command = 'BPF_LINK_CREATE';
    const session = this.#session;
    const { anchor, cookie, targetBtfId, netfilter, iterInfo } = attr;
    const create = session.struct(attributes.linkCreate, {
      'link_create.prog_fd': session.own(command, attr.prog),
      'link_create.target_fd': this.#target(command, attr),
      'link_create.attach_type': attr.attachType,
      'link_create.flags': attr.flags,
    });
    if (anchor) {
      // tcx, netkit and cgroup have it in the same place.
      create.set({
        'link_create.tcx.relative_fd': this.#relative(command, anchor),
        'link_create.tcx.expected_revision': anchor.expectedRevision,
      });
    }
    if (cookie !== undefined || targetBtfId !== undefined) {
      if (attr.attachType === AttachType.PerfEvent)
        create.set({ 'link_create.perf_event.bpf_cookie': cookie });
      else {
        create.set({
          'link_create.tracing.target_btf_id': targetBtfId,
          'link_create.tracing.cookie': cookie,
        });
      }
    }
    if (netfilter) {
      create.set({
        'link_create.netfilter.pf': netfilter.pf,
        'link_create.netfilter.hooknum': netfilter.hooknum,
        'link_create.netfilter.priority': netfilter.priority,
        'link_create.netfilter.flags': netfilter.flags,
      });
    }
    if (iterInfo?.length) {
      create.set({ 'link_create.iter_info': iterInfo, 'link_create.iter_info_len': iterInfo.length });
    }
    if (attr.kprobeMulti) {
      const { symbols, addresses, cookies, flags } = attr.kprobeMulti;
      const names = symbols?.map(cString) ?? [];
      create.keep(...names).set({
        'link_create.kprobe_multi.flags': flags,
        'link_create.kprobe_multi.cnt': symbols?.length ?? addresses?.length ?? 0,
        'link_create.kprobe_multi.syms': numbers(names.map(session.native.address)),
        'link_create.kprobe_multi.addrs': numbers(addresses),
        'link_create.kprobe_multi.cookies': numbers(cookies),
      });
    }
    if (attr.uprobeMulti) {
      const { path, offsets, refCtrOffsets, cookies, pid, flags } = attr.uprobeMulti;
      create.set({
        'link_create.uprobe_multi.path': cString(path),
        'link_create.uprobe_multi.offsets': numbers(offsets),
        'link_create.uprobe_multi.ref_ctr_offsets': numbers(refCtrOffsets),
        'link_create.uprobe_multi.cookies': numbers(cookies),
        'link_create.uprobe_multi.cnt': offsets.length,
        'link_create.uprobe_multi.flags': flags,
        'link_create.uprobe_multi.pid': pid,
      });
    }
    return session.open(command, create);
  }

  /** A target is a descriptor or a device, in the same place. */
  #target(command: string, { target, ifindex }: { target?: Fd; ifindex?: number }): number | undefined {
    if (target !== undefined && ifindex !== undefined) {
      throw new BpfError(command, Errno.EINVAL, 'the target is either a descriptor or a device');
    }
    return ifindex ?? this.#session.ownIfGiven(command, target);
  }

  /** An anchor is a descriptor or an id, in the same place. */
  #relative(command: string, { relativeFd, relativeId }: Anchor): number | undefined {
    return relativeId ?? this.#session.ownIfGiven(command, relativeFd);
  }

  async linkUpdate(link: Fd, attr: LinkUpdateAttr): Promise<void> {
    const command = 'BPF_LINK_UPDATE';
    const session = this.#session;
    const { newProg, oldProg, flags = 0 } = attr;
    const update = session.struct(attributes.linkUpdate, {
      'link_update.link_fd': session.own(command, link),
      'link_update.new_prog_fd': session.own(command, newProg),
      'link_update.flags': oldProg === undefined ? flags : flags | AttachFlag.Replace,
      'link_update.old_prog_fd': session.ownIfGiven(command, oldProg),
    });
    session.call(command, update);
  }

  async linkDetach(link: Fd): Promise<void> {
    const command = 'BPF_LINK_DETACH';
    const session = this.#session;
    session.call(
      command,
      session.struct(attributes.linkDetach, { 'link_detach.link_fd': session.own(command, link) }),
    );
  }

  async linkInfo(link: Fd): Promise<LinkInfo> {
    return linkInfo(this.#session, link);
  }

  async linkGetNextId(id: number): Promise<number> {
    return this.#session.nextId('BPF_LINK_GET_NEXT_ID', id);
  }

  async linkGetFdById(id: number): Promise<Fd> {
    return this.#session.fdById('BPF_LINK_GET_FD_BY_ID', id);
  }

  async rawTracepointOpen(attr: { prog: Fd; name?: string; cookie?: bigint }): Promise<Fd> {
    const command = 'BPF_RAW_TRACEPOINT_OPEN';
    const session = this.#session;
    const { prog, name, cookie } = attr;
    const open = session.struct(attributes.rawTracepoint, {
      'raw_tracepoint.name': name === undefined ? undefined : cString(name),
      'raw_tracepoint.prog_fd': session.own(command, prog),
      'raw_tracepoint.cookie': cookie,
    });
    return session.open(command, open, name ?? '');
  }

  async progAttach(attr: ProgAttachAttr): Promise<void> {
    const command = 'BPF_PROG_ATTACH';
    const session = this.#session;
    const { prog, attachType, flags, replaceProg, anchor = {} } = attr;
    const attach = session.struct(attributes.progAttach, {
      target_fd: this.#target(command, attr),
      attach_bpf_fd: session.own(command, prog),
      attach_type: attachType,
      attach_flags: flags,
      replace_bpf_fd: session.ownIfGiven(command, replaceProg),
      relative_fd: this.#relative(command, anchor),
      expected_revision: anchor.expectedRevision,
    });
    session.call(command, attach);
  }

  async progDetach(attr: ProgDetachAttr): Promise<void> {
    const command = 'BPF_PROG_DETACH';
    const session = this.#session;
    const { prog, attachType, flags, anchor = {} } = attr;
    const detach = session.struct(attributes.progAttach, {
      target_fd: this.#target(command, attr),
      attach_bpf_fd: session.ownIfGiven(command, prog),
      attach_type: attachType,
      attach_flags: flags,
      relative_fd: this.#relative(command, anchor),
      expected_revision: anchor.expectedRevision,
    });
    session.call(command, detach);
  }

  async progQuery(attr: ProgQueryAttr): Promise<ProgQueryResult> {
    const command = 'BPF_PROG_QUERY';
    const session = this.#session;
    const [ids, flags, links, linkFlags] = [0, 0, 0, 0].map(() => new Uint32Array(QUERY_ROOM)) as [
      Uint32Array,
      Uint32Array,
      Uint32Array,
      Uint32Array,
    ];
    // Hooks that keep no flags or links refuse to be asked for them.
    const rich = isMulti(attr.attachType);
    const query = session.struct(attributes.progQuery, {
      'query.target_fd': this.#target(command, attr),
      'query.attach_type': attr.attachType,
      'query.query_flags': attr.flags,
      'query.prog_ids': bytesOf(ids),
      'query.prog_cnt': QUERY_ROOM,
      ...(rich
        ? {
            'query.prog_attach_flags': bytesOf(flags),
            'query.link_ids': bytesOf(links),
            'query.link_attach_flags': bytesOf(linkFlags),
          }
        : {}),
    });
    session.call(command, query);
    const count = Math.min(query.u32('query.prog_cnt'), QUERY_ROOM);
    return {
      programs: Array.from({ length: count }, (_, i) => ({
        progId: ids[i] ?? 0,
        attachFlags: flags[i] ?? 0,
        linkId: links[i] ?? 0,
        linkAttachFlags: linkFlags[i] ?? 0,
      })),
      attachFlags: query.u32('query.attach_flags'),
      revision: query.u64('query.revision'),
    };
  }

  async iterCreate(link: Fd): Promise<Fd> {
    const command = 'BPF_ITER_CREATE';
    const session = this.#session;
    return session.open(
      command,
      session.struct(attributes.iterCreate, { 'iter_create.link_fd': session.own(command, link) }),
    );
  }
}

/** tcx and netkit keep many programs with their links and flags (kernel/bpf/mprog.c). */
const isMulti = (type: AttachType): boolean =>
  type === AttachType.TcxIngress ||
  type === AttachType.TcxEgress ||
  type === AttachType.NetkitPrimary ||
  type === AttachType.NetkitPeer;

const numbers = (values: readonly bigint[] | undefined): Uint8Array | undefined =>
  values?.length ? bytesOf(BigUint64Array.from(values)) : undefined;
