//! What one entry of the table of flags says.

/// One flag: everything that is known about it before a value is given.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// The name without dashes.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// The value in force when none is given, as it would be typed.
    pub default: &'static str,
    /// The default as the help text shows it, where the two differ.
    pub shown_default: Option<&'static str>,
    /// Its key in the configuration file, levels joined by dots; `None` when the file cannot set it.
    pub file_key: Option<&'static str>,
    /// Where the help text lists it.
    pub section: Section,
    /// One line of help.
    pub help: &'static str,
    /// What becomes of a given value.
    pub class: Class,
}

/// What values a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `--x` or `--x=true`.
    Bool,
    /// A signed number of 64 bits.
    Int,
    /// An unsigned number of 64 bits.
    Uint,
    /// An unsigned number of 32 bits.
    Uint32,
    /// A span of time such as `1h30m`.
    Duration,
    /// The same; empty means 0.
    DurationOrEmpty,
    /// Any text.
    Text,
    /// Comma-separated URLs; empty leaves what was there.
    Urls,
    /// Comma-separated origins: `*` or URLs.
    Origins,
    /// Comma-separated words, order kept; empty means none.
    List,
    /// Comma-separated words, sorted and without doubles.
    Set,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A comma-separated list of these words.
    SomeOf(&'static [&'static str]),
    /// `A=true,B=false`.
    Gates,
    /// A release level `X.Y`; empty means none.
    Level,
    /// Anything, typed as a boolean.
    Anything,
}

impl Kind {
    /// The flag may stand without a value.
    pub(crate) fn is_boolean(self) -> bool {
        matches!(self, Self::Bool | Self::Anything)
    }
}

/// A heading of the help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the titles say it")]
pub enum Section {
    Member,
    Clustering,
    Security,
    Auth,
    Monitoring,
    Logging,
    Tracing,
    Features,
    Unsafe,
    /// Flags that etcd does not have.
    Own,
    /// Flags of older releases.
    Old,
    /// Not listed.
    Hidden,
}

impl Section {
    /// The sections that the help text lists, in its order.
    pub const LISTED: [Self; 11] = [
        Self::Member,
        Self::Clustering,
        Self::Security,
        Self::Auth,
        Self::Monitoring,
        Self::Logging,
        Self::Tracing,
        Self::Features,
        Self::Unsafe,
        Self::Own,
        Self::Old,
    ];

    /// The heading as printed.
    pub fn title(self) -> &'static str {
        match self {
            Self::Member => "Member",
            Self::Clustering => "Clustering",
            Self::Security => "Security",
            Self::Auth => "Auth",
            Self::Monitoring => "Profiling and Monitoring",
            Self::Logging => "Logging",
            Self::Tracing => "Distributed tracing",
            Self::Features => "Features",
            Self::Unsafe => "Unsafe feature",
            Self::Own => "Not in etcd",
            Self::Old => "Of older releases, accepted with a warning",
            Self::Hidden => "",
        }
    }
}

/// What becomes of a value that is given for a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It does what etcd documents.
    Honoured,
    /// It is checked, and a line of the log says that it has no effect yet.
    NotYet,
    /// The flag is old; the value goes to its successor and a line of the log says so.
    Deprecated(Successor),
    /// The flag is old and means nothing any more; a line of the log says so.
    Retired(Warn),
    /// Accepted in silence, as etcd does.
    Ignored,
}

/// Where the value of an old flag goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Successor {
    /// The flag of this name.
    Flag(&'static str),
    /// The feature gate of this name.
    Gate(&'static str),
    /// `--log-level=debug` when true.
    DebugLevel,
}

/// When a retired flag earns a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warn {
    /// Whenever it is given.
    Always,
    /// Only with a value that once changed something.
    UnlessDefault,
}

impl Flag {
    /// A flag that is honoured and that the file sets by its own name.
    pub(crate) const fn new(
        section: Section,
        name: &'static str,
        kind: Kind,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        let (file_key, class) = (Some(name), Class::Honoured);
        Self { name, kind, default, shown_default: None, file_key, section, help, class }
    }

    pub(crate) const fn not_yet(mut self) -> Self {
        self.class = Class::NotYet;
        self
    }

    pub(crate) const fn shown(mut self, default: &'static str) -> Self {
        self.shown_default = Some(default);
        self
    }

    pub(crate) const fn key(mut self, file_key: &'static str) -> Self {
        self.file_key = Some(file_key);
        self
    }

    pub(crate) const fn not_in_file(mut self) -> Self {
        self.file_key = None;
        self
    }

    /// An old flag that another one took over.
    pub(crate) const fn old(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        successor: Successor,
        help: &'static str,
    ) -> Self {
        let mut flag = Self::new(Section::Old, name, kind, default, help);
        flag.class = Class::Deprecated(successor);
        flag
    }

    /// An old flag that means nothing any more.
    pub(crate) const fn retired(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        warn: Warn,
        help: &'static str,
    ) -> Self {
        let mut flag = Self::new(Section::Old, name, kind, default, help);
        flag.class = Class::Retired(warn);
        flag
    }

    /// A name that etcd accepts and forgets.
    pub(crate) const fn ignored(name: &'static str) -> Self {
        let mut flag = Self::new(Section::Hidden, name, Kind::Anything, "", "");
        flag.class = Class::Ignored;
        flag.file_key = None;
        flag
    }

    /// The environment variable that sets it: `ETCD_` and the name in capitals, `_` for `-`. `None` for `version`.
    pub fn env_name(&self) -> Option<String> {
        (self.name != "version").then(|| format!("ETCD_{}", self.name.to_ascii_uppercase().replace('-', "_")))
    }
}
