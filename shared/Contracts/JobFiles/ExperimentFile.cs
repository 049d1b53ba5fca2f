using System.Collections.Immutable;
using System.Text;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.JobFiles;

/// <summary>
/// An experiment's file: a job file and, under <c>variants</c>, <c>matrix</c> or <c>array</c>, what its jobs differ in; or, with a
/// <c>searcher</c>, from what that chooses.
/// </summary>
/// <remarks>
/// <code>
/// variants:
///   - name: relu
///     set: { model.options.activation: relu }
/// matrix:
///   seed: [1, 2, 3]
/// </code>
/// Each variant is the rest of the file with its settings put in their places, dotted path by dotted path. A matrix stands for every
/// combination of its values; with both, each variant is tried with each combination. An array is the same job with other numbers put in:
/// see <see cref="JobArray"/>.
/// <code>
/// searcher: {name: asha, maxTrials: 16}
/// hyperparameters:
///   epochs: 9
///   optimizer: {learningRate: {type: log, minval: -4, maxval: -1, base: 10}}
/// </code>
/// A searcher makes trials one after another, each the rest of the file with a value in place of each mapping with a <c>type</c>.
/// </remarks>
public static class ExperimentFile
{
    /// <summary>More jobs than these are hardly meant, and no chart can tell them apart.</summary>
    public const int MaxVariants = 100;

    internal const string Variants = "variants", Matrix = "matrix", Array = "array";

    private const int LongestJobName = 63;

    // Of a search's trials, before it is submitted.
    private const int MostShown = 16;

    /// <summary>
    /// Whether a file is an experiment's, rather than one job's. What is no YAML at all is not: <see cref="JobFile"/> says why.
    /// </summary>
    /// <exception cref="JobFileException">It is more than <see cref="JobFile.MaxBytes"/>.</exception>
    public static bool Describes(string yaml)
    {
        JobFile.CheckSize(Encoding.UTF8.GetByteCount(yaml));
        try
        {
            return Describes(JobFile.Document(yaml));
        }
        catch (JobFileException)
        {
            return false;
        }
    }

    /// <summary>The jobs that the text describes, each checked and with every default filled in.</summary>
    /// <exception cref="JobFileException">One of them could not run, or they are not what an experiment compares.</exception>
    public static ExperimentPlan Parse(string yaml)
    {
        JobFile.CheckSize(Encoding.UTF8.GetByteCount(yaml));
        return Parse(JobFile.Document(yaml));
    }

    internal static bool Describes(YamlMapping document) => document.Entries.Any(entry => IsOwnKey(entry.Key));

    /// <inheritdoc cref="Parse(string)"/>
    internal static ExperimentPlan Parse(YamlMapping document)
    {
        if (document.Value(SearchReader.Key) is not null)
            return ParseSearch(document);
        if (JobArray.Of(document) is { } array)
            return ParseArray(array, WithoutOwnKeys(document));
        var variants = VariantReader.Read(document);
        var specs = ReadJobs(WithoutOwnKeys(document), variants);
        RefuseEqualJobs(variants, specs);

        return new ExperimentPlan(
            specs[0].Name, specs[0].Workspace, [.. variants.Zip(specs, (variant, spec) => Member(variant.Name, spec))]);
    }

    internal static bool IsOwnKey(string key) => key is Variants or Matrix or Array or SearchReader.Key;

    /// <summary>What decides over a search's trials, of a file that was found right before.</summary>
    /// <exception cref="JobFileException">It describes no search.</exception>
    public static SearchPlan ParseSearch(string yaml) => SearchReader.Read(JobFile.Document(yaml));

    private static ExperimentPlan ParseArray(JobArray array, YamlMapping shared)
    {
        var jobs = array.Jobs(shared);
        var specs = ReadJobs(jobs);
        if (specs.Count > 1 && specs.TrueForAll(spec => Unmarked(spec).Equals(Unmarked(specs[0]))))
            throw array.EqualJobs();
        return new ExperimentPlan(specs[0].Name, specs[0].Workspace, [.. jobs.Zip(specs, (job, spec) => Member(job.Name, spec))])
        {
            AtOnce = array.AtOnce,
        };
    }

    /// <summary>Some combinations may be no job, and are left out; but not all of the first.</summary>
    private static ExperimentPlan ParseSearch(YamlMapping document)
    {
        var search = SearchReader.Read(document);
        var (name, members) = ("", new List<ExperimentMember>());
        JobFileException? wrong = null;
        var trials = new[] { search.Limits.MaxTrials, search.Limits.MaxConcurrent, search.Policy.MostTrials, MostShown }.Min();
        for (var trial = 0; trial < trials; trial++)
        {
            try
            {
                var spec = search.Spec(trial);
                name = spec.Name;
                members.Add(Member(search.NameOf(trial), spec));
            }
            catch (JobFileException fault)
            {
                wrong ??= fault;
            }
        }

        if (members.Count == 0)
            throw wrong!;
        if (search.Faults(members[0].Spec).ToList() is { Count: > 0 } faults)
            throw new JobFileException(faults);
        return new ExperimentPlan(name, members[0].Spec.Workspace, [.. members])
        {
            Search = search,
        };
    }

    private static YamlMapping WithoutOwnKeys(YamlMapping document) =>
        document with { Entries = [.. document.Entries.Where(entry => !IsOwnKey(entry.Key))] };

    private static List<JobSpec> ReadJobs(YamlMapping shared, IReadOnlyList<VariantSettings> variants) =>
        ReadJobs([.. variants.Select(variant => (variant.Name, variant.ApplyTo(shared)))]);

    private static List<JobSpec> ReadJobs(IReadOnlyList<(string Name, YamlMapping Document)> jobs)
    {
        var specs = new List<JobSpec>();
        var faults = new List<JobFileViolation>();
        foreach (var (name, document) in jobs)
        {
            try
            {
                specs.Add(JobFile.ReadMarked(document));
            }
            catch (JobFileException wrong)
            {
                faults.AddRange(wrong.Violations.Select(fault => fault with { Variant = name }));
            }
        }

        return faults.Count == 0 ? specs : throw new JobFileException(Told(faults, jobs.Count));
    }

    /// <summary>Once each: what is wrong in several variants is told of the first, and what is wrong in all of them of the file.</summary>
    private static IEnumerable<JobFileViolation> Told(List<JobFileViolation> faults, int variants) => faults
        .GroupBy(fault => fault with { Variant = "" })
        .Select(same => same.Count() == variants && variants > 1 ? same.Key : same.First())
        .OrderBy(fault => fault.Line);

    private static void RefuseEqualJobs(IReadOnlyList<VariantSettings> variants, List<JobSpec> specs)
    {
        var first = new Dictionary<JobSpec, string>();
        var faults = new List<JobFileViolation>();
        foreach (var (variant, spec) in variants.Zip(specs))
        {
            if (!first.TryAdd(Unmarked(spec), variant.Name))
            {
                faults.Add(new(Variants, null, $"would train the same job as variant {first[Unmarked(spec)]}",
                    "change a value in one of them or remove it", variant.Line)
                {
                    Variant = variant.Name,
                });
            }
        }

        if (faults.Count > 0)
            throw new JobFileException(faults);
    }

    // Whether a value was written down or is a default makes no other job of it.
    private static JobSpec Unmarked(JobSpec spec)
    {
        var unmarked = spec.Clone();
        unmarked.Given.Clear();
        return unmarked;
    }

    /// <param name="spec">Named as the experiment; gets the name of the job.</param>
    internal static ExperimentMember Member(string variant, JobSpec spec)
    {
        // A job's name has fewer characters to choose from than a variant's.
        var name =
            $"{spec.Name}-{string.Concat(variant.Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' ? c : '-'))}";
        spec.Name = name[..Math.Min(name.Length, LongestJobName)];
        return new ExperimentMember(variant, spec);
    }
}

/// <summary>What an experiment's file comes to.</summary>
/// <param name="Members">In the file's order; of a search those that it may begin with. At least one.</param>
public sealed record ExperimentPlan(string Name, string Workspace, ImmutableArray<ExperimentMember> Members)
{
    /// <summary>Null: the members are all there are.</summary>
    public SearchPlan? Search { get; init; }

    /// <summary>So many of its jobs may go on at once, the first first; 0: all.</summary>
    public int AtOnce { get; init; }
}

/// <param name="Variant">Unique in its experiment.</param>
/// <param name="Spec">Complete; its name is made of the experiment's and the variant's.</param>
public sealed record ExperimentMember(string Variant, JobSpec Spec);
