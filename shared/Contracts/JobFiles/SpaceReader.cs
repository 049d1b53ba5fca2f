using System.Collections.Immutable;
using Cluster.Contracts.Catalog;
using Cluster.Search.Space;

namespace Cluster.Contracts.JobFiles;

/// <summary>
/// Finds what of a job file is to be chosen: mappings with a <c>type</c> where a single value is meant, and the lists of a matrix.
/// </summary>
/// <param name="faults">What is wrong is added.</param>
/// <param name="needsCounts">Whether numbers must say how many values of theirs are tried.</param>
internal sealed class SpaceReader(List<JobFileViolation> faults, bool needsCounts)
{
    private const int MostValues = 1000;

    private static readonly string[] Types = ["const", "categorical", "int", "double", "log"];

    public SearchSpace Read(YamlMapping document)
    {
        var found = ImmutableArray.CreateBuilder<KeyValuePair<string, Dimension>>();
        foreach (var entry in document.Entries.Where(entry => !ExperimentFile.IsOwnKey(entry.Key)))
            Find(entry, entry.Key, found);
        foreach (var axis in document.Value(ExperimentFile.Matrix) is { } matrix ? VariantReader.ReadMatrix(matrix, faults) : [])
        {
            var field = $"{ExperimentFile.Matrix}: {axis.Path}";
            if (found.Any(each => each.Key == axis.Path))
                faults.Add(new(field, null, "is to be chosen in its own place too", "keep one of the two", axis.Line));
            if (axis.Path == SearchReader.Length)
                faults.Add(new(field, null, "must be the same for all trials of a search", "give one number in its own place", axis.Line));

            found.Add(KeyValuePair.Create<string, Dimension>(axis.Path, new CategoricalDimension([.. axis.Values.Select(Value)])));
        }

        return new SearchSpace(found.ToImmutable());
    }

    private void Find(YamlEntry entry, string path, ImmutableArray<KeyValuePair<string, Dimension>>.Builder found)
    {
        // The keys under these are anyone's own, "type" among them.
        if (entry.Value is not YamlMapping mapping || path is "labels" or "resources.nodeLabels")
            return;
        if (mapping.Value("type") is not { } type)
        {
            foreach (var inner in mapping.Entries)
                Find(inner, $"{path}.{inner.Key}", found);
        }
        else if (SettingPath.Fault(entry with { Key = path }) is { } fault)
        {
            faults.Add(fault);
        }
        else if (ReadDimension(mapping, type, path) is { } dimension)
        {
            found.Add(KeyValuePair.Create(path, dimension));
        }
    }

    private Dimension? ReadDimension(YamlMapping mapping, YamlTree type, string path)
    {
        var before = faults.Count;
        var name = (type as YamlScalar)?.Text ?? "";
        string[] known = name switch
        {
            "const" => ["type", "val"],
            "categorical" => ["type", "vals"],
            "int" or "double" => ["type", "minval", "maxval", "count"],
            "log" => ["type", "minval", "maxval", "base", "count"],
            _ => [],
        };
        if (known.Length == 0)
        {
            Add(path, "type", type, $"must be {string.Join(", ", Types[..^1])} or {Types[^1]}",
                NearestName.Of(name, Types) is { } near ? $"did you mean {near}?" : $"use one of {string.Join(", ", Types)}");
            return null;
        }

        foreach (var odd in mapping.Entries.Where(entry => !known.Contains(entry.Key)))
        {
            Add(path, JobFileViolation.Shown(odd.Key), odd.Value, $"no such key exists for type {name}",
                NearestName.Of(odd.Key, known) is { } near ? $"did you mean {near}?" : $"the keys here are {string.Join(", ", known)}");
        }

        Dimension dimension = name switch
        {
            "const" => new ConstDimension(One(mapping, path)),
            "categorical" => new CategoricalDimension(Several(mapping, path)),
            "int" => Whole(mapping, path),
            "double" => new DoubleDimension(Number(mapping, path, "minval"), Number(mapping, path, "maxval"), Count(mapping, path)),
            _ => new LogDimension(
                Number(mapping, path, "minval"), Number(mapping, path, "maxval"), Base(mapping, path), Count(mapping, path)),
        };
        RefuseEmptyRange(mapping, path);
        return faults.Count == before ? dimension : null;
    }

    private SettingValue One(YamlMapping mapping, string path)
    {
        if (mapping.Value("val") is YamlScalar { IsNull: false } value)
            return Value(value);
        Add(path, "val", mapping.Value("val"), "must be a single value", "write {type: const, val: 0.9}", mapping.Line);
        return default;
    }

    private ImmutableArray<SettingValue> Several(YamlMapping mapping, string path)
    {
        if (mapping.Value("vals") is YamlSequence { Items.Count: > 0 and <= MostValues } list
            && list.Items.All(item => item is YamlScalar { IsNull: false }))
            return [.. list.Items.Cast<YamlScalar>().Select(Value)];
        Add(path, "vals", mapping.Value("vals"), $"must be a list of 1 to {MostValues} single values",
            "write {type: categorical, vals: [32, 64]}", mapping.Line);
        return [];
    }

    private IntDimension Whole(YamlMapping mapping, string path)
    {
        return new IntDimension(Bound("minval"), Bound("maxval"), Count(mapping, path));

        long Bound(string key)
        {
            if (mapping.Value(key) is YamlScalar scalar && YamlValue.AsWhole(scalar) is { } whole and > int.MinValue and < int.MaxValue)
                return whole;
            Add(path, key, mapping.Value(key), "must be a whole number of at most 31 bits", "write a number such as 16", mapping.Line);
            return 0;
        }
    }

    private double Number(YamlMapping mapping, string path, string key)
    {
        if (mapping.Value(key) is YamlScalar scalar && YamlValue.AsNumber(scalar) is { } number)
            return number;
        Add(path, key, mapping.Value(key), "must be a number", "write a number such as 0.1", mapping.Line);
        return 0;
    }

    private double Base(YamlMapping mapping, string path)
    {
        if (mapping.Value("base") is null)
            return 10;
        var value = Number(mapping, path, "base");
        if (value <= 1 && mapping.Value("base") is YamlScalar scalar && YamlValue.AsNumber(scalar) is not null)
            Add(path, "base", scalar, "must be more than 1", "use 10 or leave it out");
        return value;
    }

    private int Count(YamlMapping mapping, string path)
    {
        var given = mapping.Value("count");
        if (given is YamlScalar scalar && YamlValue.AsWhole(scalar) is >= 1 and <= MostValues and var count)
            return (int)count;
        if (given is not null)
            Add(path, "count", given, $"must be a whole number from 1 to {MostValues}", "write how many values a grid takes, such as 4");
        else if (needsCounts)
            Add(path, "count", null, "is missing and a grid needs to know how many values to take", "add a count such as 4", mapping.Line);
        return 0;
    }

    /// <summary>The exponents of a log dimension too must make numbers.</summary>
    private void RefuseEmptyRange(YamlMapping mapping, string path)
    {
        if (mapping.Value("minval") is not YamlScalar least || mapping.Value("maxval") is not YamlScalar most
            || YamlValue.AsNumber(least) is not { } min || YamlValue.AsNumber(most) is not { } max)
            return;
        if (min >= max)
            Add(path, "minval", least, $"maxval is {most.Text}", $"use less than {most.Text}, or type const");
        var isLog = (mapping.Value("type") as YamlScalar)?.Text == "log";
        if (isLog && Math.Max(Math.Abs(min), Math.Abs(max)) > 100)
            Add(path, "minval", least, "is an exponent of the base, as is maxval, and must lie from -100 to 100", "write -4 for 0.0001");
    }

    private static SettingValue Value(YamlScalar scalar) => new(scalar.Text, IsText: !scalar.IsPlain);

    private void Add(string path, string key, YamlTree? given, string problem, string remedy, int line = 0) =>
        faults.Add(new($"{path}.{key}", given is null ? null : YamlTree.Describe(given), problem, remedy, given?.Line ?? line));
}
