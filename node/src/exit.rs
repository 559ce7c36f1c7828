//! Exit codes of both programs: what a script may rely on.

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// Everything was done.
    Ok = 0,
    /// Something went wrong while it was done; trying again may help.
    Runtime = 1,
    /// The command line or the configuration is wrong; trying again does not help.
    Usage = 2,
    /// Another process uses the data directory, or a port.
    InUse = 3,
    /// The database is damaged or cannot be used.
    Database = 4,
    /// The node that was to be asked does not answer.
    Unreachable = 5,
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_codes_are_the_documented_ones() {
        let codes =
            [Exit::Ok, Exit::Runtime, Exit::Usage, Exit::InUse, Exit::Database, Exit::Unreachable].map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 3, 4, 5]);
    }
}
