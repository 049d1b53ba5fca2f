using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Cluster.Contracts.JobFiles;

/// <summary>A node of a YAML document with the line it stands on.</summary>
internal abstract record YamlTree(int Line)
{
    /// <summary>Deeper than any job file goes, and shallow enough that no reader of the tree can run out of stack.</summary>
    private const int MaxDepth = 16;

    /// <summary>What the node is, in a sentence: "a mapping".</summary>
    public abstract string Kind { get; }

    /// <summary>
    /// Reads a single document from the parser's events rather than its object model, to refuse aliases before they are expanded.
    /// </summary>
    /// <exception cref="JobFileException">Not YAML, not one mapping, or with aliases, tags, repeated keys or needless depth.</exception>
    public static YamlMapping ReadMapping(string text)
    {
        var parser = new Parser(new StringReader(text));
        try
        {
            parser.Consume<StreamStart>();
            if (parser.Current is StreamEnd || !parser.TryConsume<DocumentStart>(out _))
                throw Fault("job file", null, "is empty", "write at least a model and data", 1);
            var root = Read(parser, "job file", depth: 0);
            parser.Consume<DocumentEnd>();
            if (parser.Current is DocumentStart second)
                throw Fault("job file", null, "holds a second document", "submit one file a job", LineOf(second));
            return root as YamlMapping
                ?? throw Fault("job file", Describe(root), "must be a mapping of keys to values",
                    "begin with a line such as \"model: lenet5\"", root.Line);
        }
        catch (YamlException exception)
        {
            throw Fault("job file", null, $"is not YAML: {Reason(exception)}", "check the indentation, colons and quotes there",
                (int)exception.Start.Line);
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException or IndexOutOfRangeException)
        {
            // The parser stumbles over some malformed text ("- [---\nx{") with exceptions that are not its own.
            throw Fault("job file", null, "is not YAML", "check the indentation, colons and quotes there",
                parser.Current is { } last ? LineOf(last) : 1);
        }
    }

    /// <summary>A node as a message shows it: a scalar's text, otherwise what kind it is.</summary>
    public static string Describe(YamlTree node) => node is YamlScalar scalar ? scalar.Shown : node.Kind;

    private static YamlTree Read(Parser parser, string path, int depth)
    {
        if (depth > MaxDepth)
            throw Fault(path, null, $"is nested more than {MaxDepth} levels deep", "flatten it", LineOf(parser.Current!));
        switch (parser.Current)
        {
            case AnchorAlias alias:
                throw Fault(path, $"*{alias.Value}", "aliases are not allowed in a job file", "write the value out", LineOf(alias));
            case NodeEvent { Anchor.IsEmpty: false } anchored:
                throw Fault(path, $"&{anchored.Anchor}", "anchors are not allowed in a job file", "remove the anchor", LineOf(anchored));
            case NodeEvent { Tag.IsEmpty: false } tagged:
                throw Fault(path, tagged.Tag.ToString(), "tags are not allowed in a job file", "remove the tag", LineOf(tagged));
            case Scalar scalar:
                parser.MoveNext();
                return new YamlScalar(scalar.Value, scalar.Style == ScalarStyle.Plain, LineOf(scalar));
            case SequenceStart sequence:
                return ReadSequence(parser, sequence, path, depth);
            case MappingStart mapping:
                return ReadMapping(parser, mapping, path, depth);
            default:
                // The parser lets some text pass, such as "- : data", and then ends a mapping between a key and its value.
                throw Fault("job file", null, "is not YAML: a key or a value is missing", "check the indentation, colons and quotes there",
                    LineOf(parser.Current!));
        }
    }

    private static YamlSequence ReadSequence(Parser parser, SequenceStart start, string path, int depth)
    {
        parser.MoveNext();
        var items = new List<YamlTree>();
        while (parser.Current is not SequenceEnd)
            items.Add(Read(parser, path, depth + 1));

        parser.MoveNext();
        return new YamlSequence(items, LineOf(start));
    }

    private static YamlMapping ReadMapping(Parser parser, MappingStart start, string path, int depth)
    {
        parser.MoveNext();
        var entries = new List<YamlEntry>();
        var keys = new HashSet<string>(StringComparer.Ordinal);
        while (parser.Current is not MappingEnd)
        {
            var key = Read(parser, path, depth + 1);
            if (key is not YamlScalar { Text: var name })
                throw Fault(path, key.Kind, "a key must be a word", "write keys as plain words", key.Line);
            var valuePath = depth == 0 ? name : $"{path}.{name}";
            if (!keys.Add(name))
                throw Fault(valuePath, null, "is given twice", "keep one of the two", key.Line);
            entries.Add(new YamlEntry(name, key.Line, Read(parser, valuePath, depth + 1)));
        }

        parser.MoveNext();
        return new YamlMapping(entries, LineOf(start));
    }

    private static int LineOf(ParsingEvent parsed) => (int)parsed.Start.Line;

    private static JobFileException Fault(string field, string? value, string problem, string remedy, int line) =>
        new([new JobFileViolation(JobFileViolation.Shown(field), value, problem, remedy, line)]);

    // The parser's sentences begin with a capital and may end with a full stop or carry a position of their own.
    private static string Reason(YamlException exception)
    {
        var text = JobFileViolation.Shown(exception.Message.TrimEnd('.'), longest: 120);
        return char.ToLowerInvariant(text[0]) + text[1..];
    }
}

/// <param name="Text">The value, unescaped.</param>
/// <param name="IsPlain">Without quotes, so that it may be a number, true, false or nothing.</param>
/// <param name="Line">From 1.</param>
internal sealed record YamlScalar(string Text, bool IsPlain, int Line) : YamlTree(Line)
{
    /// <summary>"key:" with nothing behind it.</summary>
    public bool IsNull => IsPlain && Text is "" or "~" or "null";

    public string Shown => IsNull ? "empty" : IsPlain ? Text : $"\"{Text}\"";

    public override string Kind => "a single value";
}

internal sealed record YamlSequence(IReadOnlyList<YamlTree> Items, int Line) : YamlTree(Line)
{
    public override string Kind => "a list";
}

internal sealed record YamlMapping(IReadOnlyList<YamlEntry> Entries, int Line) : YamlTree(Line)
{
    public override string Kind => "a mapping";

    /// <summary>The value under that key, or null.</summary>
    public YamlTree? Value(string key) => Entries.FirstOrDefault(entry => entry.Key == key)?.Value;
}

internal sealed record YamlEntry(string Key, int Line, YamlTree Value);
