// The packets that the benchmark programs read, made the same on every machine: name -> bytes.

/** Byte i is (7 * i + 3) modulo 256: no two neighbours alike, no word zero. */
const counting = (size) => Uint8Array.from({ length: size }, (_, i) => 7 * i + 3);

/** Byte i is 4 * i: words of four bytes ascend, read most significant byte first. */
const ascending = () => Uint8Array.from({ length: 64 }, (_, i) => 4 * i);

/** A text with words, numbers, strings and escapes, repeated and cut at `size`. */
const text = (size) => {
  const line = 'let total_1 = 1024 * count + "a \\"quoted\\" part", 7 / x; ';
  return new TextEncoder().encode(line.repeat(Math.ceil(size / line.length)).slice(0, size));
};

/** The same `size` bytes twice. */
const twice = (size) => Uint8Array.from({ length: 2 * size }, (_, i) => 7 * (i % size) + 3);

/** The checksum of RFC 1071 over an even number of bytes. */
const internetChecksum = (bytes) => {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | bytes[i + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
};

/** Ethernet, IPv4 (192.0.2.10 to 198.51.100.10), TCP (40000 to 80, SYN), `payload` bytes of `counting`. */
const tcp = (payload) => {
  const ip = [0x45, 0, 0, 40 + payload, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 10, 198, 51, 100, 10];
  const sum = internetChecksum(ip);
  ip[10] = sum >> 8;
  ip[11] = sum & 0xff;
  const header = [0x9c, 0x40, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0];
  const ethernet = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
  return Uint8Array.from([...ethernet, ...ip, ...header, ...counting(payload)]);
};

/** Each packet by the name that programs.json uses. */
export const packets = {
  'ascending-64': ascending(),
  'counting-64': counting(64),
  'counting-120': counting(120),
  'counting-128': counting(128),
  'counting-1496': counting(1496),
  'counting-1500': counting(1500),
  'text-256': text(256),
  'twice-60': twice(60),
  'tcp-64': tcp(10),
};
