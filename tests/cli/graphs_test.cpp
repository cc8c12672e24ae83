// Graphs in the forms that collections and programs ship them: the edges read, what is noted, and what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "roundtrip/base/error.h"
#include "roundtrip/cli/graphs/graph.h"

namespace roundtrip::cli {
namespace {

struct Read {
  std::string edges;  ///< "u-v u-v .."
  std::set<std::string> alone;
  GraphFacts facts;
};

/// `text` as a graph, handed over `step` bytes at a time.
Read read(std::string_view text, std::size_t step = 1, std::size_t most = ~std::size_t{0}) {
  Read found;
  Lines lines([&](std::string& buffer) {
    const std::size_t size = std::min(step, text.size());
    buffer += text.substr(0, size);
    text.remove_prefix(size);
    return size > 0;
  });
  std::size_t edges = 0;
  found.facts = scan_graph(lines, "'f'",
                           {.edge =
                                [&](std::string_view u, std::string_view v) {
                                  found.edges.append(edges == 0 ? "" : " ").append(u).append("-").append(v);
                                  return ++edges < most;
                                },
                            .vertex = [&](std::string_view name) { found.alone.emplace(name); }});
  return found;
}

std::string edges(std::string_view text) {
  const Read bytewise = read(text);
  EXPECT_EQ(bytewise.edges, read(text, 7).edges);
  EXPECT_EQ(bytewise.edges, read(text, text.size() + 1).edges);
  return bytewise.edges;
}

std::string notes(std::string_view text) {
  std::string all;
  for (const std::string& note : read(text).facts.notes) all += note + ";";
  return all;
}

/// The message that refuses `text`.
std::string refusal(std::string_view text) {
  try {
    const Read found = read(text);
    return "read as " + found.edges;
  } catch (const ContractError& error) {
    return error.what();
  }
}

#define EXPECT_REFUSED(text, says) EXPECT_NE(refusal(text).find(says), std::string::npos) << refusal(text)

TEST(Pairs, EndTheirLinesInAnyWay) {
  EXPECT_EQ(edges("1 2\n2 3"), "1-2 2-3");
  EXPECT_EQ(edges("1 2\r\n2\t3\r\n"), "1-2 2-3");
  EXPECT_EQ(edges("1 2\r2 3\r\r3 4\r"), "1-2 2-3 3-4");
  EXPECT_EQ(edges("# c\n\n% d\n one two \n\v two\ftwo\n"), "one-two two-two");
  EXPECT_EQ(edges("# nothing\n"), "");
}

TEST(Pairs, CountLinesWhateverEndsThem) {
  EXPECT_REFUSED("1 2\r2 3\r4\r", "line 3: '4' is not two vertices");
  EXPECT_REFUSED("1 2\r\n\r\n4\r\n", "line 3: '4' is not two vertices");
  EXPECT_REFUSED("one two\n  two three and more\n", "line 2");
}

TEST(Pairs, HaveFurtherColumnsOfNumbers) {
  EXPECT_EQ(edges("1 2 0.5\n2 3 1e-3\n"), "1-2 2-3");
  EXPECT_EQ(edges("1 2 7\n2 3 8\n"), "1-2 2-3");
  EXPECT_EQ(notes("1 2 7\n2 3 8\n"), "further columns (weights, times) are ignored;");
  EXPECT_EQ(notes("1 2\n2 3\n"), "");
  EXPECT_REFUSED("1 2 0.5\n2 3\n", "line 2: '2 3' is not a line of 3 fields");
  EXPECT_REFUSED("1 2\n2 3 0.5\n", "line 2");
  EXPECT_REFUSED("alice knows bob\n", "line 1");
}

TEST(Pairs, AreRefusedWhereALaterLineIsOfAnotherLength) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += "1 2 3\n";
  EXPECT_REFUSED(many + "4 5\n", "line 101");
}

TEST(Csv, HasSeparatorsQuotesAndNames) {
  EXPECT_EQ(edges("1, 2\n2, 3\n"), "1-2 2-3");
  EXPECT_EQ(edges("1;2;0,5\n2;3;1\n").substr(0, 7), "1-2 2-3");
  EXPECT_EQ(edges("New York\tSan Jose\nSan Jose\tRio\n"), "New York-San Jose San Jose-Rio");
  EXPECT_EQ(edges("\"a,b\",\"c \"\"d\"\"\"\ne,f\n"), "a,b-c \"d\" e-f");
  EXPECT_EQ(edges("\"a b\" \"c\"\nc d\n"), "a b-c c-d");
  EXPECT_EQ(edges("1,2,\n2,3,\n"), "1-2 2-3");
  EXPECT_REFUSED("a,b\n\"c,d\n", "line 2");
  EXPECT_REFUSED("a,b\n\"c\"x,d\n", "line 2");
  EXPECT_REFUSED("a,b\n,d\n", "line 2");
  EXPECT_REFUSED("a,b\nc,\n", "line 2");
}

TEST(Csv, HasARowOfColumnNames) {
  EXPECT_EQ(edges("source\ttarget\n1\t2\n2\t3\n"), "1-2 2-3");
  EXPECT_EQ(edges("\"left end\",\"right end\"\n1,2\n"), "1-2");
  EXPECT_EQ(edges("Source,Target,Type\nann,bob,Undirected\n"), "ann-bob");
  EXPECT_EQ(edges("id,weight,target,source\n9,0.5,b,a\n8,1,c,b\n"), "a-b b-c");
  EXPECT_NE(notes("id,weight,target,source\n9,0.5,b,a\n").find("columns 4 and 3"), std::string::npos);
  EXPECT_EQ(edges("a b\nb c\n"), "a-b b-c");
}

TEST(Adjacency, ListsTheNeighboursOfAVertex) {
  EXPECT_EQ(edges("1 2 3 4\n5 6\n"), "1-2 1-3 1-4 5-6");
  EXPECT_EQ(edges("5 6\n1 2 3 4\n"), "5-6 1-2 1-3 1-4");
  EXPECT_EQ(edges("a: b c\nb: d\n"), "a-b a-c b-d");
  EXPECT_EQ(edges("1,2,3\n4,5\n"), "1-2 1-3 4-5");
  EXPECT_EQ(read("1 2 3\n4\n5 1\n").alone, std::set<std::string>{"4"});
  EXPECT_REFUSED("1 2 3\n4 5 6 x\n", "line 2");
  EXPECT_REFUSED(": a b\n", "line 1");
}

TEST(Snap, DeclaresItsSizeInComments) {
  const std::string text = "# Undirected graph\n# Nodes: 4 Edges: 2\n# FromNodeId\tToNodeId\n0\t1\n1\t2\n";
  EXPECT_EQ(edges(text), "0-1 1-2");
  EXPECT_EQ(read(text).facts.vertices, 4u);
  EXPECT_EQ(notes(text), "");
  EXPECT_EQ(notes("# Nodes: 4 Edges: 3\n0\t1\n1\t2\n"), "a comment announces 3 edges, there are 2;");
}

TEST(Konect, HasTwoSidesWhereItSaysSo) {
  EXPECT_EQ(edges("% bip unweighted\n% 3 2 2\n1 1\n2 1\n2 2\n"), "1-right:1 2-right:1 2-right:2");
  EXPECT_EQ(read("% bip unweighted\n% 3 2 2\n1 1\n2 1\n2 2\n").facts.vertices, 4u);
  EXPECT_EQ(edges("% sym unweighted\n% 2 3 3\n7 5\t1 9876543\n5 6\t1 9876544\n"), "7-5 5-6");
  EXPECT_EQ(edges("% asym weighted\n1 2 3\n1 3 4\n"), "1-2 1-3");
}

TEST(MatrixMarket, IsReadAsItsHeaderSays) {
  EXPECT_EQ(edges("%%MatrixMarket matrix coordinate pattern symmetric\n% by hand\n4 4 2\n2 1\n4 3\n"),
            "2-1 4-3");
  EXPECT_EQ(edges("%matrixmarket MATRIX Coordinate Pattern General\n\n4 4 1\n2 1\n"), "2-1");
  EXPECT_EQ(edges("%%MatrixMarket matrix coordinate complex hermitian\n2 2 1\n2 1 1.0D+00 -2\n"), "2-1");
  EXPECT_EQ(edges("%%MatrixMarket matrix coordinate integer general\n2 3 2\n1 3 5\n2 1 -5\n"),
            "1-column:3 2-column:1");
  EXPECT_EQ(read("%%MatrixMarket matrix coordinate pattern general\n2 3 1\n1 3\n").facts.vertices, 5u);
  EXPECT_EQ(notes("%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2 5\n"),
            "the values of the matrix are ignored;");
}

TEST(MatrixMarket, IsRefusedWhereItContradictsItself) {
  const std::string pattern = "%%MatrixMarket matrix coordinate pattern general\n";
  EXPECT_REFUSED(pattern + "4 4 3\n1 2\n3 4\n", "has 2 entries, its line of sizes announces 3");
  EXPECT_REFUSED(pattern + "4 4 1\n1 2\n3 4\n", "line 4");
  EXPECT_REFUSED(pattern + "4 4 1\n5 1\n", "line 3");
  EXPECT_REFUSED(pattern + "4 4 1\n0 1\n", "line 3");
  EXPECT_REFUSED(pattern + "4 4 1\n1 2 3\n", "line 3");
  EXPECT_REFUSED(pattern + "4 4\n", "line 2: '4 4' is not rows, columns and entries");
  EXPECT_REFUSED(pattern, "ends before");
  EXPECT_REFUSED("%%MatrixMarket matrix array real general\n1 1\n1\n", "line 1");
  EXPECT_REFUSED("%%MatrixMarket matrix coordinate real\n1 1 1\n1 1 1\n", "line 1");
  EXPECT_REFUSED("%%MatrixMarket vector coordinate real general\n1 1\n1 1\n", "line 1");
  EXPECT_REFUSED("%%MatrixMarket matrix coordinate pattern symmetric\n2 3 1\n1 1\n", "line 2");
  EXPECT_REFUSED("%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 x\n", "line 3");
}

TEST(Dimacs, IsReadInBothKinds) {
  EXPECT_EQ(edges("c by hand\nc\np edge 4 3\ne 1 2\ne 2 3\ne 3 4\n"), "1-2 2-3 3-4");
  EXPECT_EQ(edges("p col 3 1\ne 1 2\ne 2 1\n"), "1-2 2-1");
  EXPECT_EQ(edges("p sp 3 2\nc arcs\na 1 2 7\na 2 3 -1\n"), "1-2 2-3");
  EXPECT_EQ(read("p sp 5 1\na 1 2 7\n").facts.vertices, 5u);
  EXPECT_EQ(notes("p sp 5 1\na 1 2 7\n"), "weights of edges are ignored;");
  EXPECT_EQ(edges("c d\nd e\n"), "c-d d-e");  // names of vertices
  EXPECT_EQ(edges("c d\np q\n"), "c-d p-q");
  EXPECT_REFUSED("p edge 4 3\ne 1 2\n", "has 1 edges, its line p announces 3");
  EXPECT_REFUSED("p edge 4 1\ne 1 5\n", "line 2");
  EXPECT_REFUSED("p edge 4 1\na 1 2 3\n", "line 2");
  EXPECT_REFUSED("p sp 4 1\na 1 2\n", "line 2");
  EXPECT_REFUSED("p max 4 1\nn 1 s\na 1 2 3\n", "line 1");
}

TEST(Metis, IsToldFromPairsByBeingConsistent) {
  EXPECT_EQ(edges("3 3\n2 3\n1 3\n1 2\n"), "1-2 1-3 2-3");
  EXPECT_EQ(edges("% c\n4 2\n2\n1 3\n2\n\n"), "1-2 2-3");
  EXPECT_EQ(read("4 2\n2\n1 3\n2\n\n").facts.vertices, 4u);
  EXPECT_EQ(edges("3 2 11\n4 2 7\n5 1 7 3 8\n6 2 8\n"), "1-2 2-3");
  EXPECT_EQ(edges("3 2 010 2\n0 0 2\n0 0 1 3\n0 0 2\n"), "1-2 2-3");
  EXPECT_EQ(edges("3 2\n2 1\n1 3\n"), "3-2 2-1 1-3");  // as many lines as pairs
  EXPECT_EQ(edges("2 1\n"), "2-1");
  EXPECT_REFUSED("3 3\n2 3\n1 3\n1 2\n1 2\n", "line 5");
}

TEST(Dot, IsReadByTokens) {
  EXPECT_EQ(edges("digraph g {\na -> b; b -> c;\nd -> e;\n}\n"), "a-b b-c d-e");
  EXPECT_EQ(edges("graph { 1 -- 2\n3 -- 4\n}\n"), "1-2 3-4");
  EXPECT_EQ(edges("strict DiGraph\n\"my graph\"\n{ a -> b }"), "a-b");
  EXPECT_EQ(edges("digraph\n{\na -> b\n}\n"), "a-b");
  EXPECT_EQ(edges("/* old:\nx -> y; */ digraph g {\n// x -> y\n# x -> y\na -> /* z */ b;\n}\n"), "a-b");
  EXPECT_EQ(edges("digraph g {a->b->c [weight=2] d->e}"), "a-b b-c d-e");
  EXPECT_EQ(edges("digraph { a -> {b; c d} -> e }"), "a-b a-c a-d b-e c-e d-e");
  EXPECT_EQ(edges("digraph { subgraph s { a -> b } c -> d subgraph { x } -> y }"), "a-b c-d x-y");
  EXPECT_EQ(edges("digraph { a:port:n -> b:\"p q\" }"), "a-b");
  EXPECT_EQ(edges("digraph { \"a -> b\" -> \"say \\\"c\\\"\" + \"d\" <b<i>> -> e }"),
            "a -> b-say \"c\"d b<i>-e");
  EXPECT_EQ(
      edges("digraph { node [shape=box, label=\"x -> y\"]; rank = same; edge [w=1][v=2]\n-1.5 -> c++-9 }"),
      "-1.5-c++-9");
  EXPECT_EQ(read("graph { a; b -- c; subgraph { d } }").alone, (std::set<std::string>{"a", "d"}));
  EXPECT_EQ(notes("digraph { a -> b [weight=2] }"), "weights of edges are ignored;");
}

TEST(Dot, IsRefusedByLine) {
  EXPECT_REFUSED("digraph g {\na -> b\n", "line 3");
  EXPECT_REFUSED("digraph g {\na ->\n}\n", "line 3");
  EXPECT_REFUSED("digraph g {\na b ->\n;}\n", "line 3");
  EXPECT_REFUSED("digraph g {\n\n\"a -> b\n}\n", "line 3");
  EXPECT_REFUSED("digraph g {\n/* a -> b\n}\n", "line 2");
  EXPECT_REFUSED("digraph g {\n}\ndigraph h { a -> b }\n", "line 3");
  EXPECT_REFUSED("digraph g {\na [b\n}\n", "line 3");
  EXPECT_REFUSED("digraph g {\n\"a\nb\" -> c\n}\n", "vertex");
  EXPECT_REFUSED("digraph " + std::string(100000, '{'), "braces");
}

TEST(Foreign, IsNamed) {
  EXPECT_REFUSED("<?xml version=\"1.0\"?>\n<graphml>\n", "GraphML");
  EXPECT_REFUSED("{\"nodes\": []}\n", "JSON");
  EXPECT_REFUSED("graph [\n  node [\n", "GML");
  EXPECT_REFUSED("*Vertices 3\n1 2\n", "Pajek");
  EXPECT_REFUSED("1 First\n2 Second\n#\n1 2\n", "line 3");
  EXPECT_REFUSED("1 2\n#\n1 2\n", "Trivial Graph Format");
}

TEST(Limit, StopsAtTheLastEdgeWanted) {
  EXPECT_EQ(read("a b\nb c\nnonsense", 1, 2).edges, "a-b b-c");
  EXPECT_FALSE(read("a b\nb c\nnonsense", 1, 2).facts.whole);
  EXPECT_EQ(read("%%MatrixMarket matrix coordinate pattern general\n4 4 3\n1 2\n3 4\n", 1, 1).edges, "1-2");
  EXPECT_EQ(read("digraph { a -> {b c} -> {d e} ] }", 1, 3).edges, "a-b a-c b-d");
}

}  // namespace
}  // namespace roundtrip::cli
