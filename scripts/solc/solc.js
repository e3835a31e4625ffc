// The parts of solc's command line that py-solc-x uses, on top of npm's solc:
//   --version
//   --standard-json [--base-path DIR] [--allow-paths DIRS]   input on stdin, output on stdout
// Imports missing from the input are read from the base path only (node_modules: from this repository
// too).
"use strict";

const fs = require("fs");
const path = require("path");

const VERSION = "0.8.37";
const REPOSITORY = path.join(__dirname, "../..");

// solc's WebAssembly catches C++ exceptions through JavaScript, which looks up the function to call in
// a table, millions of times a compilation. V8 takes half of all time for that; an array does not.
function cacheTableEntries() {
  const { get, set } = WebAssembly.Table.prototype;
  let table;
  let entries = [];
  WebAssembly.Table.prototype.get = function (index) {
    if (this !== table) {
      table = this;
      entries = [];
    }
    return (entries[index] ??= get.call(this, index));
  };
  WebAssembly.Table.prototype.set = function (index, entry) {
    entries = [];
    return set.call(this, index, entry);
  };
}

function fail(message) {
  process.stderr.write(`solc: ${message}\n`);
  process.exit(1);
}

function loadCompiler() {
  cacheTableEntries();
  let compiler;
  try {
    compiler = require(path.join(REPOSITORY, "node_modules/solc"));
  } catch (error) {
    fail(`cannot load npm's solc: run npm ci (${error.message})`);
  }
  if (!compiler.version().startsWith(`${VERSION}+`)) {
    fail(`node_modules holds solc ${compiler.version()}, not ${VERSION}: run npm ci`);
  }
  return compiler;
}

function parse(args) {
  const options = { version: false, standardJson: false, basePath: process.cwd() };
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--version") options.version = true;
    else if (args[i] === "--standard-json") options.standardJson = true;
    else if (args[i] === "--base-path") options.basePath = args[++i];
    else if (args[i] === "--allow-paths") i++; // only the base path is read anyway
    else fail(`unrecognised option '${args[i]}'`);
  }
  return options;
}

function readBelow(folder) {
  const root = fs.realpathSync(folder) + path.sep;
  return (name) => {
    try {
      const file = fs.realpathSync(path.resolve(root, name));
      if (!file.startsWith(root)) return { error: `${name} is outside ${root}` };
      return { contents: fs.readFileSync(file, "utf8") };
    } catch (error) {
      return { error: `${name} cannot be read: ${error.code}` };
    }
  };
}

// Ape compiles in a temporary copy of the project, which lacks node_modules.
function readImport(basePath) {
  const below = readBelow(basePath);
  const repository = readBelow(REPOSITORY);
  return (name) => {
    const found = below(name);
    return found.error && name.startsWith("node_modules/") ? repository(name) : found;
  };
}

const options = parse(process.argv.slice(2));
if (options.version) {
  process.stdout.write(`solc, the solidity compiler\nVersion: ${loadCompiler().version()}\n`);
} else if (options.standardJson) {
  const input = fs.readFileSync(0, "utf8");
  const output = loadCompiler().compile(input, { import: readImport(options.basePath) });
  process.stdout.write(output);
} else {
  fail("only --version and --standard-json are supported");
}
