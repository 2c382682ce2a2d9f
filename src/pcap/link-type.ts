// What the packets of a capture begin with. Numbers and names: the registry of link types at tcpdump.org.

import { SkepError } from '../base/error.js';

/** The link types that have a name here (LINKTYPE_*). */
export const LinkType = {
  Null: 0,
  Ethernet: 1,
  Ppp: 9,
  Raw: 101,
  Ieee80211: 105,
  Loop: 108,
  LinuxSll: 113,
  Ieee80211Radiotap: 127,
  Netlink: 253,
  Ipv4: 228,
  Ipv6: 229,
  LinuxSll2: 276,
} as const;

const names = new Map<number, string>([
  [LinkType.Null, 'BSD loopback'],
  [LinkType.Ethernet, 'Ethernet'],
  [LinkType.Ppp, 'PPP'],
  [LinkType.Raw, 'raw IP'],
  [LinkType.Ieee80211, 'IEEE 802.11'],
  [LinkType.Loop, 'OpenBSD loopback'],
  [LinkType.LinuxSll, 'Linux cooked'],
  [LinkType.Ieee80211Radiotap, 'IEEE 802.11 with radiotap'],
  [LinkType.Netlink, 'Linux netlink'],
  [LinkType.Ipv4, 'raw IPv4'],
  [LinkType.Ipv6, 'raw IPv6'],
  [LinkType.LinuxSll2, 'Linux cooked v2'],
]);

/** `Ethernet (link type 1)`, or `link type 147` for a number without a name here. */
export const linkTypeName = (linkType: number): string => {
  const name = names.get(linkType);
  return name === undefined ? `link type ${linkType}` : `${name} (link type ${linkType})`;
};

/** The error for packets of a link type that was not asked for. */
export const wrongLinkType = (where: string, linkType: number, wanted: readonly number[]): SkepError =>
  new SkepError(
    `the packets are ${linkTypeName(linkType)}, but ${wanted.map(linkTypeName).join(' or ')} is needed`,
    {
      where,
      hint: 'Capture on one interface by name (tcpdump -i eth0); the interface "any" gives cooked packets.',
    },
  );
