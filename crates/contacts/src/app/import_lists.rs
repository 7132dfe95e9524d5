//! Lists of imports and of what became of their rows.

use prost::Message as _;
use store::Error as StoreError;
use store::filter::{self, Field, Kind};
use store::order;
use store::pages::{self, Key, PageToken};
use types::{Deadline, ImportName};

use super::App;
use super::contacts::{PAGE_BYTES_MAX, page_token};
use crate::domain::imports::{Format, Import, Outcome, RowReport, State};
use crate::error::Error;
use crate::store::import_files::{RowList, rows_list};
use crate::store::imports::{ImportList, imports_list};
use crate::wire::imports::{message, row_message};

/// What imports can be filtered by. `store::imports` knows what each means.
const IMPORTS: &[Field] = &[
    Field::one("state", Kind::Word(State::WORDS)),
    Field::one("format", Kind::Word(Format::WORDS)),
    Field::one("dry_run", Kind::Bool),
    Field::one("create_time", Kind::Time),
];

/// What rows can be filtered by. `store::import_files` knows what each means.
const ROWS: &[Field] = &[
    Field::one("outcome", Kind::Word(Outcome::WORDS)),
    Field::one("row", Kind::Int),
];

/// What ListImports was given.
#[derive(Clone, Debug)]
pub struct ImportsInput {
    /// The workspace's id.
    pub workspace: String,
    /// How many at most, as asked for.
    pub page_size: i32,
    /// Where to go on.
    pub page_token: String,
    /// Which imports.
    pub filter: String,
    /// In which order.
    pub order_by: String,
}

/// What ListImportRows was given.
#[derive(Clone, Debug)]
pub struct RowsInput {
    /// The import.
    pub name: ImportName,
    /// How many at most, as asked for.
    pub page_size: i32,
    /// Where to go on.
    pub page_token: String,
    /// Which rows.
    pub filter: String,
}

impl ImportsInput {
    /// Everything that is wrong with it.
    pub fn faults(&self) -> Vec<Error> {
        let filter = filter::parse(&self.filter, IMPORTS).err();
        let order = newest_first(&self.order_by).err();
        let place = PageToken::decode(&self.page_token, &self.args_hash()).err();
        let list = [filter.map(Error::from), order, place.map(Error::from)];
        list.into_iter().flatten().collect()
    }

    /// What must stay the same from page to page.
    fn args_hash(&self) -> [u8; 16] {
        pages::args_hash(&["ListImports", &self.workspace, &self.filter, &self.order_by])
    }
}

impl RowsInput {
    /// Everything that is wrong with it but the page token, which depends on the import's run.
    pub fn faults(&self) -> Vec<Error> {
        let filter = filter::parse(&self.filter, ROWS).err();
        filter.map(Error::from).into_iter().collect()
    }
}

impl App {
    /// Lists a workspace's imports; the token of the next page.
    pub async fn list_imports(
        &self,
        input: ImportsInput,
        deadline: Deadline,
    ) -> Result<(Vec<Import>, String), Error> {
        let args_hash = input.args_hash();
        let size = pages::page_size(input.page_size)?;
        let asked = ImportList {
            filter: filter::parse(&input.filter, IMPORTS)?,
            newest_first: newest_first(&input.order_by)?,
            after: PageToken::decode(&input.page_token, &args_hash)?,
            workspace: input.workspace,
            limit: size + 1,
        };
        let found =
            self.store
                .within(&asked.workspace)
                .read("imports.list", deadline, move |conn| {
                    imports_list(conn, &asked)
                });
        let (found, goes_on) = page(found.await?, size, |import| message(import).encoded_len());
        let next = match found.last() {
            Some(last) if goes_on => {
                let keys = vec![Key::Int(last.create_time.0), Key::Text(last.id.clone())];
                page_token(args_hash, keys)
            }
            _ => String::new(),
        };
        Ok((found, next))
    }

    /// Lists what became of the rows of an import's present run; the token of the next page.
    pub async fn list_import_rows(
        &self,
        input: RowsInput,
        deadline: Deadline,
    ) -> Result<(Vec<RowReport>, String), Error> {
        let import = self.get_import(input.name.clone(), deadline).await?;
        let args_hash = pages::args_hash(&[
            "ListImportRows",
            &input.name.to_string(),
            &import.run.to_string(),
            &input.filter,
        ]);
        let size = pages::page_size(input.page_size)?;
        let after = match PageToken::decode(&input.page_token, &args_hash)?.as_deref() {
            None => 0,
            Some([Key::Int(row)]) => *row,
            Some(_) => return Err(Error::Store(StoreError::PageTokenInvalid)),
        };
        let asked = RowList {
            name: input.name.clone(),
            run: import.run,
            filter: filter::parse(&input.filter, ROWS)?,
            after,
            limit: size + 1,
        };
        let found =
            self.store
                .within(&asked.name.workspace)
                .read("imports.rows", deadline, move |conn| {
                    rows_list(conn, &asked)
                });
        let bytes = |row: &RowReport| row_message(&input.name, row).encoded_len();
        let (found, goes_on) = page(found.await?, size, bytes);
        let next = match found.last() {
            Some(last) if goes_on => page_token(args_hash, vec![Key::Int(last.row)]),
            _ => String::new(),
        };
        Ok((found, next))
    }
}

/// Whether an `order_by` asks for the newest first, as a list without one does.
fn newest_first(order_by: &str) -> Result<bool, Error> {
    let keys = order::parse(order_by, &["create_time"])?;
    Ok(keys.first().is_none_or(|key| key.descending))
}

/// Cuts a page out of one item more than it has, and shorter where its readers could not take it;
/// whether more items follow.
fn page<T>(mut found: Vec<T>, size: i64, bytes_of: impl Fn(&T) -> usize) -> (Vec<T>, bool) {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut bytes = 0;
    let fitting = found.iter().take_while(|item| {
        bytes += bytes_of(item);
        bytes <= PAGE_BYTES_MAX
    });
    let count = fitting.count().max(1).min(size);
    let goes_on = found.len() > count;
    found.truncate(count);
    (found, goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_its_readers_could_take_no_more() {
        let third = PAGE_BYTES_MAX / 3;
        assert_eq!(page(vec![1, 2, 3, 4], 3, |_| 1), (vec![1, 2, 3], true));
        assert_eq!(page(vec![1, 2], 3, |_| third), (vec![1, 2], false));
        assert_eq!(page(vec![1, 2, 3, 4], 9, |_| third), (vec![1, 2, 3], true));
        let enormous = page(vec![1, 2], 9, |_| PAGE_BYTES_MAX + 1);
        assert_eq!(enormous, (vec![1], true), "one is always told");
        assert_eq!(page(Vec::<i32>::new(), 9, |_| 1), (Vec::new(), false));
    }
}
