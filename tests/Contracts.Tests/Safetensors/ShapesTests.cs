using Cluster.Contracts.Safetensors;

namespace Cluster.Contracts.Tests.Safetensors;

public sealed class ShapesTests
{
    public static TheoryData<long[]> Tensors =>
        [.. new long[][] { [7], [3, 4], [1, 5], [4, 1, 1], [3, 2, 2, 3] }];

    [Theory]
    [MemberData(nameof(Tensors))]
    public void Boxes_OfEveryRange_AreItsElementsInOrder(long[] shape)
    {
        var elements = shape.Aggregate(1L, (product, size) => product * size);
        for (var first = 0L; first <= elements; first++)
        {
            for (var last = first; last <= elements; last++)
            {
                var boxes = Shapes.Boxes(shape, first, last).ToList();

                boxes.Count.ShouldBeLessThanOrEqualTo((2 * shape.Length) - 1);
                boxes.ShouldAllBe(box => Shapes.Contains(shape, box.Offset, box.Shape));
                // Where each lies in the whole: together, and one behind the other.
                var next = first;
                foreach (var box in boxes)
                {
                    box.First.ShouldBe(next);
                    foreach (var (source, target, count) in Shapes.SharedRuns(box.Offset, box.Shape, new long[shape.Length], shape))
                    {
                        target.ShouldBe(box.First + source);
                        next += count;
                    }
                }

                next.ShouldBe(last);
            }
        }
    }

    [Fact]
    public void Boxes_OfWholeRows_AreOne() =>
        Shapes.Boxes([8, 3, 5, 5], 75, 450).Select(box => $"{Shapes.Text(box.Offset)} {Shapes.Text(box.Shape)}")
            .ShouldBe(["(1, 0, 0, 0) (5, 3, 5, 5)"]);

    [Fact]
    public void Boxes_OfNothing_AreNone() => Shapes.Boxes([8, 3], 5, 5).ShouldBeEmpty();
}
