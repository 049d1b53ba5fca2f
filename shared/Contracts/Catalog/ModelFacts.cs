namespace Cluster.Contracts.Catalog;

/// <summary>What is known of a model as published: for lists and for choosing, not for training.</summary>
/// <param name="Paper">Authors, year and where to find it.</param>
/// <param name="Channels">Of the published input.</param>
/// <param name="InputSize">Pixels a side of the published input.</param>
/// <param name="Classes">Of the published output.</param>
/// <param name="Parameters">Trainable ones of the net with that input and output and no other option given, without
/// <see cref="AuxiliaryParameters"/>. A test holds it to the net that is built.</param>
/// <param name="MultiplyAdds">Of its convolutions and fully connected layers for one image. A test holds it to the net that is
/// built.</param>
public sealed record ModelFacts(string Paper, int Channels, int InputSize, int Classes, long Parameters, long MultiplyAdds)
{
    /// <summary>Of heads that only training has; 0 without heads.</summary>
    public long AuxiliaryParameters { get; init; }

    /// <summary>
    /// ImageNet accuracy in percent, the likeliest class and any of the five likeliest; null where none was published. Measured by others,
    /// not here.
    /// </summary>
    public double? Top1 { get; init; }

    /// <inheritdoc cref="Top1"/>
    public double? Top5 { get; init; }

    /// <summary>Where the accuracy comes from and how it was taken, or a figure on other data; empty without one.</summary>
    public string Source { get; init; } = "";
}
