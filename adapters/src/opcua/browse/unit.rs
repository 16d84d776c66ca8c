//! Units of measure: from the codes of UNECE, which servers tell, to those of UCUM, which receivers know. Pure.

use opcua::types::EUInformation;

/// Whose codes are turned into numbers (OPC 10000-8, section 5.6.3.3).
const UNECE: &str = "http://www.opcfoundation.org/UA/units/un/cefact";
/// The longest word of a server that is taken for a unit.
const LONGEST: usize = 16;

/// The units that plants use (UNECE Recommendation 20), each with its UCUM code.
const KNOWN: [(&str, &str); 46] = [
    ("CEL", "Cel"),
    ("FAH", "[degF]"),
    ("KEL", "K"),
    ("BAR", "bar"),
    ("MBR", "mbar"),
    ("PAL", "Pa"),
    ("A97", "hPa"),
    ("KPA", "kPa"),
    ("MPA", "MPa"),
    ("MTR", "m"),
    ("CMT", "cm"),
    ("MMT", "mm"),
    ("4H", "um"),
    ("KMT", "km"),
    ("MTK", "m2"),
    ("MTQ", "m3"),
    ("LTR", "L"),
    ("MLT", "mL"),
    ("KGM", "kg"),
    ("GRM", "g"),
    ("TNE", "t"),
    ("SEC", "s"),
    ("C26", "ms"),
    ("MIN", "min"),
    ("HUR", "h"),
    ("DAY", "d"),
    ("MTS", "m/s"),
    ("KMH", "km/h"),
    ("RPM", "/min"),
    ("HTZ", "Hz"),
    ("KHZ", "kHz"),
    ("MQH", "m3/h"),
    ("L2", "L/min"),
    ("E32", "L/h"),
    ("WTT", "W"),
    ("KWT", "kW"),
    ("WHR", "W.h"),
    ("KWH", "kW.h"),
    ("VLT", "V"),
    ("2Z", "mV"),
    ("AMP", "A"),
    ("4K", "mA"),
    ("OHM", "Ohm"),
    ("NEW", "N"),
    ("NU", "N.m"),
    ("P1", "%"),
];

/// The unit as a UCUM code where it is known, else as the server writes it.
pub(super) fn of(told: &EUInformation) -> Option<String> {
    let known =
        |code: String| KNOWN.iter().find(|(unece, _)| *unece == code).map(|(_, ucum)| (*ucum).to_owned());
    let by_code =
        (told.namespace_uri.as_ref() == UNECE).then(|| code(told.unit_id)).flatten().and_then(known);
    let word = told.display_name.text.as_ref().trim();
    let is_fit = |word: &&str| {
        !word.is_empty() && word.chars().count() <= LONGEST && !word.chars().any(char::is_control)
    };
    by_code
        .or_else(|| Some(word).filter(is_fit).map(|word| if word == "°C" { "Cel" } else { word }.to_owned()))
}

/// The code whose characters are the bytes of the number.
fn code(unit: i32) -> Option<String> {
    let bytes: Vec<u8> = unit.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    String::from_utf8(bytes).ok().filter(|code| !code.is_empty())
}

#[cfg(test)]
mod tests {
    use opcua::types::{EUInformation, LocalizedText};

    use super::{UNECE, of};

    fn told(namespace: &str, unit_id: i32, word: &str) -> EUInformation {
        EUInformation {
            namespace_uri: namespace.into(),
            unit_id,
            display_name: LocalizedText::new("", word),
            description: LocalizedText::null(),
        }
    }

    #[test]
    fn a_code_of_unece_becomes_one_of_ucum_and_another_unit_keeps_its_word() {
        assert_eq!(of(&told(UNECE, 4_408_652, "°C")).as_deref(), Some("Cel"));
        assert_eq!(of(&told(UNECE, 20_529, "%")).as_deref(), Some("%"));
        assert_eq!(of(&told("urn:plant", 4_408_652, "pieces")).as_deref(), Some("pieces"));
        assert_eq!(of(&told("", -1, "°C")).as_deref(), Some("Cel"));
        assert_eq!(of(&told(UNECE, 0x5858_5858, "")), None);
        assert_eq!(of(&told("", -1, &"x".repeat(99))), None);
    }
}
