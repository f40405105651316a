//! What an answer says: its content encoding undone, and its text by the rules of `requests`.

use encoding_rs::Encoding;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use url::Url;

use super::{HttpError, Response};

/// Undoes gzip and deflate; anything else stays as it is.
pub(super) fn decoded(mut response: Response, url: &Url) -> Result<Response, HttpError> {
    let encodings = response
        .header("Content-Encoding")
        .unwrap_or_default()
        .to_ascii_lowercase();
    for encoding in encodings.split(',').map(str::trim).rev() {
        if response.body.is_empty() {
            break;
        }
        let undone = match encoding {
            "gzip" | "x-gzip" => all(MultiGzDecoder::new(response.body.as_slice())),
            // Some servers leave out what should be around it.
            "deflate" => all(ZlibDecoder::new(response.body.as_slice()))
                .or_else(|_| all(DeflateDecoder::new(response.body.as_slice()))),
            _ => break,
        };
        response.body = undone.map_err(|error| HttpError::Answer {
            url: url.to_string(),
            why: format!("it is said to be {encoding}, but {error}"),
        })?;
    }
    Ok(response)
}

fn all(mut reader: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of an answer: by its charset, or else Latin-1 for text, UTF-8 for JSON, and what it looks like for the rest.
pub(crate) fn text(response: Response) -> String {
    let kind = response.header("Content-Type").map(str::to_ascii_lowercase);
    let Some(kind) = kind else {
        return crate::text::decode(response.body);
    };
    let mut parts = kind.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| {
        let (key, value) = part.split_once('=')?;
        (key.trim() == "charset").then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    });
    match charset {
        Some(charset) => decode(&response.body, &charset),
        None if name.contains("text") => decode(&response.body, "iso-8859-1"),
        None if name.contains("application/json") => decode(&response.body, "utf-8"),
        None => crate::text::decode(response.body),
    }
}

fn decode(bytes: &[u8], charset: &str) -> String {
    // On the Web these mean Windows' code page; in Python they mean what they say.
    if matches!(
        charset,
        "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin-1" | "latin1" | "l1"
    ) {
        return bytes.iter().map(|&byte| char::from(byte)).collect();
    }
    let encoding = Encoding::for_label(charset.as_bytes()).unwrap_or(encoding_rs::UTF_8);
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}
