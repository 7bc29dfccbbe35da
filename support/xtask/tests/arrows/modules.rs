//! The modules of a crate, and what each of them uses of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::{mem, slice};

use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, UseTree, Visibility};

/// A module's path from the crate's root, which is the empty one.
pub type Name = Vec<String>;

/// For each module, those whose items it uses. Tests are left out, and so is a `pub use`, which only
/// passes a name on.
pub type Uses = BTreeMap<Name, BTreeSet<Name>>;

/// What the source file of a module declares and uses.
#[derive(Default)]
struct Module {
    /// The names of its own items.
    items: BTreeSet<String>,
    /// The path behind each name that it imports or re-exports.
    imports: BTreeMap<String, Vec<String>>,
    /// The paths before a `::*`.
    globs: Vec<Vec<String>>,
    /// Every path in its code, and in what it imports for itself.
    paths: BTreeSet<Vec<String>>,
}

/// Reads the crate whose root is this file.
pub fn uses(root: &Path) -> Uses {
    let mut modules = BTreeMap::new();
    read_file(root, root.parent().expect("a file is in a folder"), &[], &mut modules);
    let used = |name: &Name, module: &Module| {
        let of = module.paths.iter().filter_map(|path| resolve(&modules, name, path, 0));
        of.filter(|other| other != name).collect()
    };
    modules.iter().map(|(name, module)| (name.clone(), used(name, module))).collect()
}

fn read_file(file: &Path, folder: &Path, name: &[String], modules: &mut BTreeMap<Name, Module>) {
    let text = fs::read_to_string(file).unwrap_or_else(|err| panic!("{}: {err}", file.display()));
    let File { items, .. } =
        syn::parse_file(&text).unwrap_or_else(|err| panic!("{}: {err}", file.display()));
    read_items(&items, folder, name, modules);
}

/// `folder` is where the files of the module's own modules are.
fn read_items(
    items: &[Item],
    folder: &Path,
    name: &[String],
    modules: &mut BTreeMap<Name, Module>,
) {
    let mut module = Module::default();
    for item in items.iter().filter(|item| !is_for_tests(attributes(item))) {
        match item {
            Item::Mod(inner) => {
                let ident = inner.ident.to_string();
                let path = [name, slice::from_ref(&ident)].concat();
                let below = folder.join(&ident);
                match &inner.content {
                    Some((_, items)) => read_items(items, &below, &path, modules),
                    None => read_file(&file_of(folder, &ident), &below, &path, modules),
                }
            }
            Item::Use(item) => {
                let private = matches!(item.vis, Visibility::Inherited);
                module.import(&item.tree, &mut Vec::new(), private);
            }
            item => {
                module.items.extend(ident(item));
                module.visit_item(item);
            }
        }
    }
    modules.insert(name.to_vec(), module);
}

fn file_of(folder: &Path, ident: &str) -> PathBuf {
    let file = folder.join(format!("{ident}.rs"));
    if file.exists() { file } else { folder.join(ident).join("mod.rs") }
}

impl Module {
    fn import(&mut self, tree: &UseTree, path: &mut Vec<String>, private: bool) {
        let mut take = |name: &str, path: Vec<String>| {
            if private {
                self.paths.insert(path.clone());
            }
            self.imports.insert(name.to_owned(), path);
        };
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.import(&tree.tree, path, private);
                path.pop();
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, path, private));
            }
            UseTree::Name(tree) if tree.ident == "self" => {
                let name = path.last().cloned().unwrap_or_default();
                take(&name, path.clone());
            }
            UseTree::Name(tree) => {
                let name = tree.ident.to_string();
                take(&name, [&path[..], slice::from_ref(&name)].concat());
            }
            UseTree::Rename(tree) => {
                take(&tree.rename.to_string(), [&path[..], &[tree.ident.to_string()]].concat());
            }
            UseTree::Glob(_) => {
                if private {
                    self.paths.insert(path.clone());
                }
                self.globs.push(path.clone());
            }
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            _ if is_for_tests(attributes(item)) => {}
            Item::Use(inner) => self.import(&inner.tree, &mut Vec::new(), true),
            item => visit::visit_item(self, item),
        }
    }

    /// `pub(crate)` and `pub(super)` use nothing.
    fn visit_visibility(&mut self, _visibility: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.insert(path.segments.iter().map(|part| part.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, inner: &'ast syn::Macro) {
        // A macro's expansion is not followed; only the paths among its tokens are taken.
        let tokens = inner.tokens.to_string().replace("::", " :: ");
        let is_name = |word: &str| {
            word.chars().all(|c| c.is_alphanumeric() || c == '_')
                && !word.starts_with(|c: char| c.is_ascii_digit())
        };
        let mut words = tokens.split(|c: char| c.is_whitespace() || "(){}[],;&<>".contains(c));
        let mut path: Vec<String> = Vec::new();
        let mut joined = false;
        loop {
            let word = words.find(|word| !word.is_empty());
            match word {
                Some("::") => joined = true,
                Some(word) if is_name(word) && joined => {
                    path.push(word.to_owned());
                    joined = false;
                }
                other => {
                    self.paths.insert(mem::take(&mut path));
                    joined = false;
                    match other {
                        Some(word) if is_name(word) => path.push(word.to_owned()),
                        Some(_) => {}
                        None => break,
                    }
                }
            }
        }
        visit::visit_macro(self, inner);
    }
}

/// The module that has what `path` names, as seen from the module `from`; `None` for what belongs to
/// another crate, and for a local name.
fn resolve(
    modules: &BTreeMap<Name, Module>,
    from: &Name,
    path: &[String],
    depth: usize,
) -> Option<Name> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => walk(modules, vec![], rest, depth),
        "self" => walk(modules, from.clone(), rest, depth),
        "super" => {
            let (_, above) = from.split_last()?;
            if rest.first().is_some_and(|next| next == "super") {
                resolve(modules, &above.to_vec(), rest, depth)
            } else {
                walk(modules, above.to_vec(), rest, depth)
            }
        }
        name => {
            let module = &modules[from];
            let child = [&from[..], &[name.to_owned()]].concat();
            if let Some(import) = module.imports.get(name).filter(|_| depth < 8) {
                let to = [import, rest].concat();
                return resolve(modules, from, &to, depth + 1);
            }
            // A single word may be a variable that has the name of a module.
            (!rest.is_empty() && modules.contains_key(&child))
                .then(|| walk(modules, child, rest, depth))?
        }
    }
}

fn walk(modules: &BTreeMap<Name, Module>, at: Name, path: &[String], depth: usize) -> Option<Name> {
    let module = modules.get(&at)?;
    let Some((first, rest)) = path.split_first() else { return Some(at) };
    let child = [&at[..], slice::from_ref(first)].concat();
    if modules.contains_key(&child) {
        return walk(modules, child, rest, depth);
    }
    if module.items.contains(first) || depth >= 8 {
        return Some(at);
    }
    if let Some(import) = module.imports.get(first) {
        return resolve(modules, &at, &[import, rest].concat(), depth + 1);
    }
    for glob in &module.globs {
        let Some(other) = resolve(modules, &at, glob, depth + 1) else { continue };
        let inner = &modules[&other];
        if inner.items.contains(first) || inner.imports.contains_key(first) {
            return walk(modules, other, path, depth + 1);
        }
    }
    Some(at)
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let meta = &attribute.meta;
        meta.path().is_ident("cfg")
            && meta.require_list().is_ok_and(|list| {
                let condition = list.tokens.to_string();
                condition == "test" || condition.starts_with("all (test")
            })
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn ident(item: &Item) -> Option<String> {
    match item {
        Item::Const(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Macro(item) => item.ident.as_ref(),
        Item::Static(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        _ => None,
    }
    .map(ToString::to_string)
}
