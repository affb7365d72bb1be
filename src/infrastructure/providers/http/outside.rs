//! Which addresses may be asked that a person or a provider chose (server-side request forgery).
//!
//! Such an address is https, without user and password in it and without signs that readers disagree about. What its name resolves to is
//! looked up once for each connection, every address of the answer is checked, and the connection goes to what was checked: there is no second
//! look-up that could answer otherwise. Redirects are followed nowhere.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, header::InvalidHeaderValue};
use ipnet::{Ipv4Net, Ipv6Net};
use percent_encoding::percent_decode_str;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The longest address that is read.
const LONGEST: usize = 2_048;

/// Which addresses may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// What the operator configured, wherever that is.
    Configured,
    /// Only what is out there for everyone, over https.
    Outside,
    /// That, and this machine by its own names, also over http: for development.
    OutsideOrHere,
}

impl Reach {
    /// Whether a URL may be asked, as far as it shows: names are looked at when they are resolved.
    pub fn admits(self, url: &Url) -> bool {
        if self == Self::Configured {
            return true;
        }
        let is_here = self == Self::OutsideOrHere && is_this_machine(url);
        let is_plain = url.username().is_empty() && url.password().is_none();
        is_plain && (is_here || (url.scheme() == "https" && literal(url).is_none_or(is_public)))
    }

    /// Whether all that a name resolved to may be asked: one address that must not be spoils the name.
    fn admits_all(self, name: &str, addresses: &[IpAddr]) -> bool {
        let is_here = self == Self::OutsideOrHere && is_local_name(name);
        !addresses.is_empty() && addresses.iter().all(|address| is_public(*address) || (is_here && address.is_loopback()))
    }
}

fn is_local_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
}

/// A host that is written as an address, in whichever way: the parser has read decimal, octal and hexadecimal ones.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

fn is_this_machine(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && literal(url).map_or_else(|| url.host_str().is_some_and(is_local_name), |address| address.is_loopback())
}

/// Why a text is not an address that may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnfitUrl {
    /// Not a URL with a host, too long, or with signs in it that do not belong there.
    #[error("it is not a URL")]
    Unreadable,
    /// Not https.
    #[error("it is not an https URL")]
    Insecure,
    /// A private, local or otherwise special address.
    #[error("it leads to an address that is not out there for everyone")]
    NotOutside,
}

/// A URL that a person or a provider chose and that may be asked. `Debug` shows its host only.
#[derive(Clone)]
pub struct OutsideUrl {
    url: Url,
    authorization: Option<HeaderValue>,
}

impl OutsideUrl {
    /// Reads a URL. User and password leave it for the `Authorization` header.
    pub fn parse(text: &str, reach: Reach) -> Result<Self, UnfitUrl> {
        // The parser drops tabs and line breaks, and what it takes for a host others may not.
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'<' | b'>' | b'"' | b'`')) {
            return Err(UnfitUrl::Unreadable);
        }
        // Slashes that are too many are a host to some and none to others.
        if text.split_once("://").is_none_or(|(_, rest)| rest.starts_with('/')) {
            return Err(UnfitUrl::Unreadable);
        }
        let mut url = Url::parse(text).map_err(|_| UnfitUrl::Unreadable)?;
        if !url.has_host() || url.fragment().is_some() {
            return Err(UnfitUrl::Unreadable);
        }
        let authorization = basic(&url).map_err(|_| UnfitUrl::Unreadable)?;
        if url.set_username("").is_err() || url.set_password(None).is_err() {
            return Err(UnfitUrl::Unreadable);
        }
        if reach.admits(&url) {
            Ok(Self { url, authorization })
        } else if url.scheme() == "https" {
            Err(UnfitUrl::NotOutside)
        } else {
            Err(UnfitUrl::Insecure)
        }
    }

    /// Without user and password.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What goes into the `Authorization` header, if it had a user.
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Its host, as names are compared.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whether it is one of these hosts: at the usual port, or at the one that is listed with it; this machine at any.
    pub fn is_of(&self, hosts: &[String]) -> bool {
        let with_port = self.url.port().map(|port| format!("{}:{port}", self.host()));
        let listed = |name: &str| hosts.iter().any(|host| host == name);
        match with_port {
            Some(name) => listed(&name) || is_this_machine(&self.url) && listed(self.host()),
            None => listed(self.host()),
        }
    }

    /// An address below it.
    pub fn below(&self, segments: &[&str]) -> Result<Url, UnfitUrl> {
        let mut url = self.url.clone();
        url.path_segments_mut().map_err(|()| UnfitUrl::Unreadable)?.pop_if_empty().extend(segments);
        Ok(url)
    }
}

impl fmt::Debug for OutsideUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutsideUrl({}…)", self.host())
    }
}

/// RFC 7617; `None` for a URL without a user.
fn basic(url: &Url) -> Result<Option<HeaderValue>, InvalidHeaderValue> {
    let password = url.password().unwrap_or_default();
    if url.username().is_empty() && password.is_empty() {
        return Ok(None);
    }
    let mut login: Vec<u8> = percent_decode_str(url.username()).collect();
    login.push(b':');
    login.extend(percent_decode_str(password));
    let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(&login)))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Knows the addresses of names.
#[async_trait]
pub trait Names: Send + Sync {
    /// All addresses of a name.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's own resolver.
pub struct SystemNames;

#[async_trait]
impl Names for SystemNames {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Resolves names, and answers only what may be asked. The connection goes to an address of that answer.
pub(super) struct Guarded {
    names: Arc<dyn Names>,
    reach: Reach,
}

impl Guarded {
    pub(super) fn new(names: Arc<dyn Names>, reach: Reach) -> Self {
        Self { names, reach }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, reach) = (self.names.clone(), self.reach);
        Box::pin(async move {
            let addresses = names.addresses(name.as_str()).await?;
            if !reach.admits_all(name.as_str(), &addresses) {
                return Err(UnfitUrl::NotOutside.into());
            }
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

/// IPv4 that is not out there for everyone (IANA's registry of special-purpose addresses), and what clouds answer machines at.
const SPECIAL_V4: [Ipv4Net; 17] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    // With it 169.254.169.254, where clouds tell machines their secrets.
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 31, 196, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    // Multicast, reserved, broadcast.
    v4(224, 0, 0, 0, 3),
    v4(192, 52, 193, 0, 24),
    // Azure answers its machines at a public address.
    v4(168, 63, 129, 16, 32),
];

const fn v6(segments: [u16; 8], length: u8) -> Ipv6Net {
    let [first, second, third, fourth, rest @ ..] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, third, fourth, rest[0], rest[1], rest[2], rest[3]), length)
}

/// Where all IPv6 is that is out there for everyone.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// What of that is special all the same: protocols (Teredo among them), documentation, 6to4, which holds an IPv4 address.
const SPECIAL_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

/// NAT64's well-known prefix (RFC 6052): the last four bytes are the IPv4 address it leads to.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

/// Whether an address is out there for everyone. Of IPv6 that stands for IPv4, the IPv4 address has to be.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => SPECIAL_V4.iter().all(|special| !special.contains(&address)),
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            if address.to_ipv4_mapped().is_some() || NAT64.contains(&address) {
                return is_public(Ipv4Addr::new(a, b, c, d).into());
            }
            GLOBAL_V6.contains(&address) && SPECIAL_V6.iter().all(|special| !special.contains(&address))
        }
    }
}
