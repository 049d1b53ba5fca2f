using Cluster.Worker.Data.Indexing;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Formats;

/// <summary>
/// <c>train/CLASS/*.jpg</c>, <c>.jpeg</c> or <c>.png</c>, likewise <c>val</c> and, perhaps, <c>test</c>: the layout of torchvision's
/// ImageFolder.
/// </summary>
/// <remarks>Classes are numbered by their folders' names in <c>train</c>, in ordinal order. Only the names are kept in memory.</remarks>
public sealed class ImageFolder : EncodedPart
{
    private const string Readable = ".jpg, .jpeg or .png";

    private static readonly string[] Extensions = [".jpg", ".jpeg", ".png"];

    private readonly string _folder;
    private readonly IReadOnlyList<string> _classes;
    private readonly FolderSample[] _samples;

    private ImageFolder(string folder, Decoding decoding, IReadOnlyList<string> classes, FolderSample[] samples)
        : base(decoding)
    {
        _folder = folder;
        _classes = classes;
        _samples = samples;
    }

    public override int Count => _samples.Length;

    public override int Label(int sample) => _samples[sample].Class;

    public override string ClassName(int label) => FileNames.Shown(_classes[label]);

    public override SampleIdentity Identity(int sample)
    {
        var (_, bytes) = FileCalls.Stat(PathOf(sample), out var error);
        return new SampleIdentity($"{_classes[_samples[sample].Class]}/{_samples[sample].File}", error == 0 ? bytes : -1);
    }

    /// <summary>Whether a folder of the data root has this layout.</summary>
    /// <exception cref="DataSetException">It seems to, but a job could not read it; the message says why.</exception>
    public static bool IsIn(string dataRoot, string name)
    {
        var (folder, listing) = (DataFolder.Open(dataRoot, name), new FolderListing(dataRoot));
        var parts = PartFolders(listing, folder);
        foreach (var part in parts)
            ClassFolders(listing, Path.Combine(folder, part), new DataNotes());
        return (parts.Contains("train"), parts.Contains("val")) switch
        {
            (true, true) => true,
            (false, false) => false,
            _ => throw Incomplete(folder),
        };
    }

    /// <summary>Training, validation and test parts.</summary>
    /// <param name="dataRoot">Of the node.</param>
    /// <param name="name">A folder there.</param>
    /// <param name="classes">That the job says there are.</param>
    /// <param name="decoding">Of the pictures.</param>
    /// <param name="notes">Is told what is passed over.</param>
    /// <param name="index">By which to list what has been listed before.</param>
    /// <exception cref="DataSetException">Missing, or a class is empty, or links lead out of it.</exception>
    /// <exception cref="JobMisconfiguredException">There are not so many classes.</exception>
    internal static (ImagePart Train, ImagePart Validation, ImagePart Test) Open(
        string dataRoot, string name, int classes, Decoding decoding, DataNotes? notes = null, DataIndex? index = null)
    {
        notes ??= new DataNotes();
        var (folder, listing) = (DataFolder.Open(dataRoot, name), new FolderListing(dataRoot, index));
        var parts = PartFolders(listing, folder);
        if (!parts.Contains("train") || !parts.Contains("val"))
            throw Incomplete(folder);
        var names = ClassFolders(listing, Path.Combine(folder, "train"), notes);
        if (names.Count == 0)
            throw new DataSetException($"{folder}/train has no class folders; put the pictures of each class into a folder of its own");
        if (names.Count != classes)
            throw new JobMisconfiguredException(
                $"data.classes is {classes} but {folder}/train has {names.Count} class folders; make them equal");
        var train = Scan(listing, Path.Combine(folder, "train"), names, names, decoding, notes);
        return (train, Part("val"), parts.Contains("test") ? Test() : None());

        ImageFolder Part(string part)
        {
            var path = Path.Combine(folder, part);
            return Scan(listing, path, ClassFolders(listing, path, notes), names, decoding, notes);
        }

        ImageFolder None() => new(folder, decoding, names, []);

        ImageFolder Test()
        {
            if (WhyUnlabelled(listing, Path.Combine(folder, "test"), names) is not { } why)
                return Part("test");
            notes.Add($"{folder}/test {why}, so its pictures have no labels: there are no test figures");
            return None();
        }
    }

    /// <summary>Class folders of the training part, for whoever has no job that says how many there are.</summary>
    /// <exception cref="DataSetException">There is no such part.</exception>
    internal static int CountClasses(string dataRoot, string name)
    {
        var (folder, listing) = (DataFolder.Open(dataRoot, name), new FolderListing(dataRoot));
        return PartFolders(listing, folder).Contains("train")
            ? ClassFolders(listing, Path.Combine(folder, "train"), new DataNotes()).Count
            : throw Incomplete(folder);
    }

    protected override string Name(int sample) => FileNames.Shown(PathOf(sample));

    protected override Memory<byte> Read(int sample, PictureBuffers buffers) =>
        _samples[sample].Fault is { } fault ? throw new BrokenPictureException(fault) : ReadFrom(PathOf(sample), 0, null, buffers);

    private string PathOf(int sample) => Path.Combine(_folder, _classes[_samples[sample].Class], _samples[sample].File);

    private static DataSetException Incomplete(string folder) =>
        new($"{folder} has no folders train and val; put a folder of pictures for each class into both");

    private static HashSet<string> PartFolders(FolderListing listing, string folder)
    {
        var parts = listing.Read(folder).Where(entry => entry.Name is "train" or "val" or "test").ToList();
        if (parts.FindIndex(part => part.Fault is not null) is var faulty and >= 0)
            throw new DataSetException($"{folder}/{parts[faulty].Name} {parts[faulty].Fault}");
        return [.. parts.Where(part => part.IsFolder).Select(part => part.Name)];
    }

    /// <summary>As competitions hand out their test pictures: beside each other, or all in one folder that is no class.</summary>
    private static string? WhyUnlabelled(FolderListing listing, string folder, List<string> classes)
    {
        var folders = listing.Read(folder).Where(IsClass).Select(entry => entry.Name).ToList();
        return folders switch
        {
            [] => "has no class folders",
            [var only]
                when !classes.Contains(only) => $"has a single folder, {FileNames.Shown(only)}, which is no class of the training part",
            _ => null,
        };
    }

    private static ImageFolder Scan(
        FolderListing listing, string folder, List<string> present, List<string> classes, Decoding decoding, DataNotes notes)
    {
        foreach (var unknown in present.Except(classes))
            throw new DataSetException($"{folder}/{unknown} is a class that the training part has not; add it there or remove it");
        if (present.Count == 0)
            throw new DataSetException($"{folder} has no pictures; its class folders need files that end in {Readable}");
        var missing = classes.Except(present).ToHashSet();
        if (missing.Count > 0)
            notes.Add($"{folder} has no folder for {missing.Count} of {classes.Count} classes, such as {FileNames.Shown(missing.Min()!)}");
        var samples = new List<FolderSample>();
        for (var c = 0; c < classes.Count; c++)
        {
            if (!missing.Contains(classes[c]))
                samples.AddRange(ScanClass(listing, Path.Combine(folder, classes[c]), c, notes));
        }

        return new ImageFolder(folder, decoding, classes, Mixed(samples));
    }

    private static List<FolderSample> ScanClass(FolderListing listing, string folder, int label, DataNotes notes)
    {
        var (samples, passedOver) = (new List<FolderSample>(), new PassedOver());
        var entries = listing.Read(folder);
        notes.See(entries.Count);
        foreach (var entry in entries)
        {
            if (entry.LeadsOut && IsPicture(entry.Name))
                throw new DataSetException($"{FileNames.Shown(Path.Combine(folder, entry.Name))} {entry.Fault}");
            if (!entry.IsFolder && IsPicture(entry.Name))
                samples.Add(new FolderSample(label, entry.Name, entry.Fault));
            else
                passedOver.Add(entry);
        }

        if (samples.TrueForAll(sample => sample.Fault is not null))
            throw NothingToRead(folder, samples, passedOver);
        if (passedOver.Count > 0)
        {
            notes.Add(
                $"{FileNames.Shown(folder)}: {passedOver} passed over, such as {passedOver.Example}; "
                    + $"pictures end in {Readable} and lie in the class's folder itself");
        }

        return samples;
    }

    private static DataSetException NothingToRead(string folder, List<FolderSample> broken, PassedOver passedOver)
    {
        var found = new List<string>();
        if (broken.Count > 0)
            found.Add($"{broken.Count} broken, such as {FileNames.Shown(broken[0].File)}, which {broken[0].Fault}");
        if (passedOver.Count > 0)
            found.Add($"{passedOver} passed over, such as {passedOver.Example}");
        return new DataSetException(
            $"{FileNames.Shown(folder)} is a class of which no picture can be read: "
                + $"{(found.Count > 0 ? string.Join("; ", found) : "the folder is empty")}. "
                + $"Put files there that end in {Readable}, in the folder itself, or remove the class");
    }

    private static List<string> ClassFolders(FolderListing listing, string folder, DataNotes notes)
    {
        var (names, beside) = (new List<string>(), new PassedOver());
        foreach (var entry in listing.Read(folder))
        {
            if (entry is { Kind: FileKind.Folder or FileKind.Link, Fault: not null } && !IsPicture(entry.Name))
                throw new DataSetException($"{folder}/{FileNames.Shown(entry.Name)} {entry.Fault}; it may be a class: mend or remove it");
            if (IsClass(entry))
                names.Add(entry.Name);
            else
                beside.Add(entry);
        }

        if (beside.Count > 0)
            notes.Add($"{folder}: {beside} beside the class folders passed over, such as {beside.Example}");
        return names;
    }

    private static bool IsClass(FolderEntry entry) => entry.IsFolder && !FileNames.IsPassing(entry.Name);

    private static bool IsPicture(string file) => Extensions.Contains(Path.GetExtension(file).ToLowerInvariant());

    /// <param name="Fault">Why the picture cannot even be opened; null where nothing is known against it.</param>
    private readonly record struct FolderSample(int Class, string File, string? Fault);
}
