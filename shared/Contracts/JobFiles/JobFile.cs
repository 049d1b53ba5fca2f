using System.Text;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.JobFiles;

/// <summary>The job file: YAML whose keys are <see cref="JobSpec"/>'s field names in camelCase.</summary>
/// <remarks>
/// Where a mapping has a <c>name</c>, the name alone may stand for it: <c>model: lenet5</c>. Aliases, anchors and tags are refused, so
/// that a small file cannot expand into a large one.
/// </remarks>
public static class JobFile
{
    /// <summary>A larger file is refused unread.</summary>
    public const int MaxBytes = 1 << 20;

    /// <summary>The job that the text describes, checked and with every default filled in.</summary>
    /// <exception cref="JobFileException">It does not describe one that could run.</exception>
    public static JobSpec Parse(string yaml)
    {
        var spec = ParseMarked(yaml);
        spec.Given.Clear();
        return spec;
    }

    /// <summary>As <see cref="Parse"/>, with the keys that the text has in <see cref="JobSpec.Given"/>.</summary>
    /// <inheritdoc cref="Parse"/>
    public static JobSpec ParseMarked(string yaml)
    {
        CheckSize(Encoding.UTF8.GetByteCount(yaml));
        return ReadMarked(Document(yaml));
    }

    /// <summary>For who knows a file's size before its text.</summary>
    /// <exception cref="JobFileException">It is more than <see cref="MaxBytes"/>.</exception>
    public static void CheckSize(long bytes)
    {
        if (bytes > MaxBytes)
            throw JobFileException.TooLarge(bytes);
    }

    /// <summary>A job file with every value written down, which <see cref="Parse"/> reads back to an equal spec.</summary>
    /// <param name="spec">A complete spec, as <see cref="Parse"/> or <see cref="JobSpecValidator.Complete"/> gives it.</param>
    public static string Write(JobSpec spec) => TextOf(Lines(spec));

    /// <summary>
    /// The file as somebody wrote it, without the defaults; the same as <see cref="Write"/> where it is not known what was written.
    /// </summary>
    /// <inheritdoc cref="Write"/>
    public static string WriteGiven(JobSpec spec)
    {
        var lines = Lines(spec);
        return spec.Given.Count == 0 ? TextOf(lines) : TextOf(lines.Where(line => line.IsGiven));
    }

    /// <summary>The lines of <see cref="Write"/>.</summary>
    /// <inheritdoc cref="Write"/>
    public static IReadOnlyList<JobFileLine> Lines(JobSpec spec) => JobFileWriter.Write(spec);

    // A byte order mark is how some editors begin a file.
    internal static YamlMapping Document(string yaml) => YamlTree.ReadMapping(yaml.TrimStart('\uFEFF'));

    private static string TextOf(IEnumerable<JobFileLine> lines) => string.Concat(lines.Select(line => line.Text + "\n"));

    /// <inheritdoc cref="ParseMarked"/>
    internal static JobSpec ReadMarked(YamlMapping document)
    {
        var file = JobFileReader.Read(document);
        JobDefaults.Fill(file.Spec, field => file.IsGiven(field.Path));

        // A fault of form has left its field at the default, which is in range: the two lists never tell of the same thing twice.
        var faults = file.Faults.Concat(JobSpecValidator.FieldFaults(file.Spec)).ToList();
        // What an entry lacks that could not be read has been told of.
        faults.AddRange(JobSpecValidator.EntryFaults(file.Spec)
            .Where(lack => !file.Faults.Any(fault => lack.Field.StartsWith(fault.Field, StringComparison.Ordinal))));
        if (faults.Count == 0)
            faults.AddRange(JobSpecValidator.JointFaults(file.Spec));
        if (faults.Count > 0)
            throw new JobFileException(faults.Select(file.Locate).OrderBy(fault => fault.Line));
        file.Spec.Given.Add(file.Given);
        return file.Spec;
    }
}
