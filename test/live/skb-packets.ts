// Packets and contexts for test runs of programs that see socket buffers.

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));

const addresses = '020000000001 020000000002';
const ipv4 = '4500 0028 0001 0000 40 06 7a3f 0a000001 0a000002';
const ipv4Ect = '4502 0028 0001 0000 40 06 7a3d 0a000001 0a000002';
const tcp = '1234 0050 00000001 00000000 5002 2000 e5a1 0000';
const ipv6 = '6000 0000 0014 06 40 20010db8000000000000000000000001 20010db8000000000000000000000002';
const ipv6Ect = '6020 0000 0014 06 40 20010db8000000000000000000000001 20010db8000000000000000000000002';

const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + 1) & 0xff);

/** By name. */
export const packets: Readonly<Record<string, Uint8Array>> = {
  zeros: new Uint8Array(64),
  'TCP over IPv4': hex(`${addresses} 0800 ${ipv4} ${tcp}`),
  'TCP over IPv4 to the loopback address': hex(`000000000000 020000000002 0800 ${ipv4} ${tcp}`),
  'IPv4, ECN-capable': hex(`${addresses} 0800 ${ipv4Ect} ${tcp}`),
  'TCP over IPv6': hex(`${addresses} 86dd ${ipv6} ${tcp}`),
  'IPv6, ECN-capable': hex(`${addresses} 86dd ${ipv6Ect} ${tcp}`),
  'a VLAN tag': hex(`${addresses} 8100 2005 0800 ${ipv4} ${tcp}`),
  'two VLAN tags': hex(`${addresses} 88a8 1007 8100 2005 0800 ${ipv4} ${tcp}`),
  broadcast: hex(`ffffffffffff 020000000002 0806 ${'00'.repeat(46)}`),
  multicast: hex(`01005e000001 020000000002 0800 ${ipv4} ${tcp}`),
  '802.3': hex(`${addresses} 0030 ffff ${'00'.repeat(46)}`),
  '802.2': hex(`${addresses} 0030 4242 ${'11'.repeat(46)}`),
  'a header alone': hex(`${addresses} 9999`),
  'IPv4 cut short': hex(`${addresses} 0800 4500 0028 0001`),
  'no header': new Uint8Array(13),
  nothing: new Uint8Array(0),
  'one byte behind the header': hex(`${addresses} 9999 42`),
  'a long one': pattern(1500),
};

/** Offsets of struct __sk_buff. */
const offsets = {
  len: 0,
  pkt_type: 4,
  mark: 8,
  queue_mapping: 12,
  protocol: 16,
  priority: 32,
  ingress_ifindex: 36,
  ifindex: 40,
  tc_index: 44,
  cb: 48,
  cb4: 64,
  hash: 68,
  tc_classid: 72,
  data: 76,
  data_end: 80,
  data_meta: 140,
  tstamp: 152,
  wire_len: 160,
  gso_segs: 164,
  gso_size: 176,
  hwtstamp: 184,
} as const;

/** A context in which these fields, of 4 bytes, are set. */
export function context(fields: Partial<Record<keyof typeof offsets, number>>, size = 192): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [name, value] of Object.entries(fields)) {
    view.setUint32(offsets[name as keyof typeof offsets], value, true);
  }
  return bytes;
}
