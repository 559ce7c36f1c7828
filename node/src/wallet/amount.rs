//! Amounts as people type them: decimal TIME, exact to the unit, never through floating point.

use timecoin_protocol::amount::{Amount, UNITS_PER_TIME};

/// Decimals of one TIME.
const DECIMALS: usize = 8;

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Something other than digits, one point, and the suffix `u`.
    #[error("not an amount: write TIME like 1.5, or whole units like 150000000u")]
    Malformed,
    /// More than eight decimals: there is nothing smaller than a unit.
    #[error("an amount has at most {DECIMALS} decimals; the smallest is 0.00000001 TIME (1u)")]
    TooPrecise,
    /// Above the 64-bit range of units.
    #[error("the amount is too large: at most 184467440737.09551615 TIME can be written")]
    TooLarge,
}

/// Reads `12`, `1.5`, `0.00000001` (TIME) or `150000000u` (units).
///
/// # Errors
/// [`AmountError`]; nothing is rounded.
pub fn parse_amount(text: &str) -> Result<Amount, AmountError> {
    if let Some(units) = text.strip_suffix('u') {
        return digits(units).map(Amount);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.len() > DECIMALS && fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AmountError::TooPrecise);
    }
    let whole = digits(whole)?.checked_mul(UNITS_PER_TIME).ok_or(AmountError::TooLarge)?;
    let fraction = digits(&format!("{fraction:0<DECIMALS$}"))
        .and_then(|units| if fraction.is_empty() { Err(AmountError::Malformed) } else { Ok(units) })?;
    whole.checked_add(fraction).map(Amount).ok_or(AmountError::TooLarge)
}

fn digits(text: &str) -> Result<u64, AmountError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AmountError::Malformed);
    }
    text.parse().map_err(|_| AmountError::TooLarge)
}

/// The amount in TIME with as few decimals as are exact, and without the unit's name.
#[must_use]
pub fn format_time(amount: Amount) -> String {
    let (whole, fraction) = (amount.units() / UNITS_PER_TIME, amount.units() % UNITS_PER_TIME);
    if fraction == 0 {
        return whole.to_string();
    }
    format!("{whole}.{fraction:08}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (text, units) in [
            ("0", 0),
            ("1", 100_000_000),
            ("1.5", 150_000_000),
            ("0.1", 10_000_000),
            ("0.00000001", 1),
            ("1u", 1),
            ("184467440737.09551615", u64::MAX),
            ("18446744073709551615u", u64::MAX),
            // As floating point this would lose its last digit.
            ("90071992.54740993", 9_007_199_254_740_993),
        ] {
            assert_eq!(parse_amount(text), Ok(Amount(units)), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "1 ", "0x10", "u", "1.5u", "1.2.3", "१"] {
            assert_eq!(parse_amount(text), Err(AmountError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn nothing_is_rounded_or_wrapped() {
        assert_eq!(parse_amount("0.000000001"), Err(AmountError::TooPrecise));
        assert_eq!(parse_amount("184467440737.09551616"), Err(AmountError::TooLarge));
        assert_eq!(parse_amount("184467440738"), Err(AmountError::TooLarge));
        assert_eq!(parse_amount("18446744073709551616u"), Err(AmountError::TooLarge));
    }

    proptest! {
        #[test]
        fn every_amount_is_read_back_as_it_is_shown(units: u64) {
            prop_assert_eq!(parse_amount(&format_time(Amount(units))), Ok(Amount(units)));
        }
    }
}
